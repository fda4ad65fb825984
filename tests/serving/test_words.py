from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.definitions import CONDITIONS, MEASURES, Aggregate, past
from features.events import KINDS
from features.rows.catalog import default_person_features, default_scope_features
from features.rows.fitted import Affinities
from serving.words.factors import Language, Vocabulary, in_words
from training.tags.pairs import CROSS_NAMES
from training.tags.statics import STATIC_NAMES

NAMES = Vocabulary(
    {"dairy": ("Dairy", "乳品"), "cds": ("CDs and DVDs", "光盘")},
    {"dairy.will-buy": ("Dairy: will buy", "乳品:将购买", 30)},
)
DAY = 86_400


@pytest.mark.parametrize(
    ("feature", "value", "english", "chinese"),
    [
        ("purchase_count_30d@dairy", 3, "bought dairy 3 times in the last 30 days", "近30天购买乳品3次"),
        ("purchase_count_all@dairy", 1, "bought dairy once so far", "累计购买乳品1次"),
        ("purchase_count_1d@dairy", 2, "bought dairy twice in the last 1 day", "近1天购买乳品2次"),
        ("purchase_count_90d@cds", 0, "did not buy CDs and DVDs in the last 90 days", "近90天未购买光盘"),
        ("purchase_count_all", 0, "did not buy anything so far", "从未购买商品或内容"),
        ("purchase_count_7d@all", 5, "bought something 5 times in the last 7 days", "近7天购买商品或内容5次"),
        ("purchase_days_90d@dairy", 4, "bought dairy on 4 of the last 90 days", "近90天有4天购买乳品"),
        (
            "purchase_sum_amount_30d@dairy",
            1250,
            "spent 12.50 on dairy in the last 30 days",
            "近30天购买乳品:消费12.50",
        ),
        (
            "purchase_sum_amount_discounted_30d@dairy",
            1250,
            "spent 12.50 on dairy at a discount in the last 30 days",
            "近30天购买打折的乳品:消费12.50",
        ),
        (
            "purchase_sum_coupon_90d@dairy",
            0,
            "was given 0.00 off by coupons on dairy in the last 90 days",
            "近90天购买乳品:用券抵扣0.00",
        ),
        (
            "purchase_sum_quantity_all@dairy",
            7,
            "bought dairy, 7 pieces, so far",
            "累计购买乳品:7件",
        ),
        (
            "read_sum_dwell_ms_7d@dairy",
            9500,
            "read notes about dairy, 9.5 seconds, in the last 7 days",
            "近7天阅读乳品笔记:9.5秒",
        ),
        (
            "purchase_distinct_category_90d",
            12,
            "bought something, 12 different categories, in the last 90 days",
            "近90天购买商品或内容:12个品类",
        ),
        ("purchase_recency_all@dairy", 12 * DAY + 5, "last bought dairy 12 days ago", "最近一次购买乳品:12天前"),
        ("purchase_recency_all@dairy", 60, "last bought dairy less than a day ago", "最近一次购买乳品:不到1天前"),
        ("purchase_recency_all@dairy", math.nan, "did not buy dairy so far", "从未购买乳品"),
        ("purchase_tenure_all@dairy", DAY, "first bought dairy 1 day ago", "首次购买乳品:1天前"),
        (
            "purchase_decayed30_all@dairy",
            2.5 * 65_536,
            "bought dairy 2.5 times, older ones counted less, so far",
            "累计购买乳品约2.5次(越早权重越低)",
        ),
        (
            "purchase_count_coupon_30d@dairy",
            2,
            "bought dairy with a coupon twice in the last 30 days",
            "近30天购买用券的乳品2次",
        ),
        (
            "like+save_count_15d@dairy",
            2,
            "liked notes about dairy or saved notes about dairy twice in the last 15 days",
            "近15天点赞乳品笔记或收藏乳品笔记2次",
        ),
        ("item_view_count_3d@dairy", 4, "looked at dairy 4 times in the last 3 days", "近3天浏览乳品4次"),
        (
            "outcome_lag1#dairy.will-buy",
            1,
            "“Dairy: will buy” was true in the previous 30 days",
            "前30天「乳品:将购买」成立",
        ),
        (
            "outcome_lag2#dairy.will-buy",
            0,
            "“Dairy: will buy” was not true 30 to 60 days ago",
            "30至60天前「乳品:将购买」未成立",
        ),
        (
            "outcome_lag3#dairy.will-buy",
            math.nan,
            "whether “Dairy: will buy” was true 60 to 90 days ago is not known",
            "60至90天前「乳品:将购买」是否成立:未知",
        ),
        (
            "outcome_mean#dairy.will-buy",
            0.4,
            "“Dairy: will buy” was true 40 % of the time",
            "历史上「乳品:将购买」成立的比例:40%",
        ),
        (
            "like+save+comment+share+follow+search+link_click_count_30d@dairy",
            2,
            "engaged with notes about dairy twice in the last 30 days",
            "近30天互动乳品笔记2次",
        ),
        (
            "store_visit+item_view+favourite+cart_count_7d@dairy",
            0,
            "did not shop for dairy in the last 7 days",
            "近7天未选购乳品",
        ),
        (
            "purchase_count_coupon_all_share@dairy",
            0.3,
            "bought dairy with a coupon in 30 % of cases so far",
            "累计购买用券的乳品占比30%",
        ),
        (
            "click_count_90d_rate@dairy",
            0.125,
            "opened 12.5 % of the notes shown about dairy in the last 90 days",
            "近90天乳品笔记点击率12.5%",
        ),
        (
            "refund_count_90d_rate",
            0.5,
            "returned 50 % of the purchases of something in the last 90 days",
            "近90天商品或内容退货率50%",
        ),
        (
            "purchase_sum_amount_all_price@dairy",
            320,
            "paid 3.20 a piece for dairy so far",
            "累计购买乳品件均价3.20",
        ),
        ("purchase_days_all_gap@dairy", 12, "bought dairy every 12 days on average", "平均每12天购买乳品"),
        (
            "purchase_days_all_gap@dairy",
            math.nan,
            "too little is known of dairy to tell the usual gap",
            "乳品的数据太少,通常间隔未知",
        ),
        (
            "purchase_recency_all_overdue@dairy",
            1.5,
            "last bought dairy 1.5 times the usual gap ago",
            "距上次购买乳品已是平时间隔的1.5倍",
        ),
        (
            "search_count_90d_unmet@dairy",
            2,
            "searched for dairy twice without buying in the last 90 days",
            "近90天搜索乳品2次但未购买",
        ),
        (
            "search_count_90d_unmet@dairy",
            0,
            "bought dairy, or showed no interest in it, in the last 90 days",
            "近90天已购买乳品或未表现兴趣",
        ),
        (
            "search_recency_all_renewed@dairy",
            -3,
            "the last interest in dairy came 3 days before the last purchase",
            "最近一次对乳品感兴趣在最近一次购买之前3天",
        ),
        (
            "search_tenure_all_wait@dairy",
            4,
            "first bought dairy 4 days after the first interest",
            "首次购买乳品在首次感兴趣之后4天",
        ),
        (
            "purchase_count_90d_newness@dairy",
            1,
            "bought dairy for the first time in the last 90 days",
            "近90天首次购买乳品",
        ),
        (
            "purchase_count_90d_newness@dairy",
            0,
            "bought dairy before the last 90 days too",
            "90天前已购买过乳品",
        ),
        (
            "svd_affinity@dairy",
            1.25,
            "people who shop alike buy dairy (strength 1.25)",
            "购买习惯相近的人会买乳品(强度1.25)",
        ),
        (
            "outlook#dairy.will-buy",
            0.314,
            "of people with a history like this, “Dairy: will buy” came true for about 31 %",
            "有类似历史的人中,约31%“乳品:将购买”成立",
        ),
        (
            "outlook#dairy.will-buy",
            math.nan,
            "what a history like this led to is not known yet for “Dairy: will buy”",
            "尚不知有类似历史的人是否会“乳品:将购买”",
        ),
        ("item_affinity@dairy", 2, "buys what often goes with dairy (strength 2)", "买过常与乳品同买的商品(强度2)"),
        (
            "scope_price_level@dairy",
            1.2,
            "pays 1.2 times the usual price for dairy",
            "购买乳品的价位是常见价的1.2倍",
        ),
        (
            "recency_over_median_gap@dairy",
            2.5,
            "last bought dairy 2.5 times as long ago as its buyers usually wait",
            "距上次购买乳品已是其买家通常间隔的2.5倍",
        ),
        (
            "gap_over_median_gap",
            0.5,
            "between two purchases of this waits 0.5 times as long as its buyers usually do",
            "购买该类的间隔是其买家通常间隔的0.5倍",
        ),
        ("days_share", 0.25, "bought this on 25 % of all shopping days", "购买该类的日子占全部购物日的25%"),
        (
            "days_share@dairy",
            math.nan,
            "too little is known of dairy to compare with its buyers",
            "乳品的数据太少,无法与其买家比较",
        ),
        ("base_rate_1", 0.032, "true for 3.2 % of people in the latest window", "最近一期人群中成立比例3.2%"),
        (
            "repeat_rate",
            0.5,
            "true again for 50 % of those for whom it was true before",
            "上期成立者中本期再次成立比例50%",
        ),
        ("median_gap", 9.5, "buyers here come back after 9.5 days as a rule", "买家通常隔9.5天再次购买"),
        ("base_rate_trend", -0.5, "true for fewer people than in the window before", "人群中成立比例较上一期下降"),
        ("odd_new_thing@dairy", 0.1234, "odd new thing of dairy: 0.12", "乳品的odd new thing:0.12"),
        ("odd", math.nan, "odd: not known", "odd:未知"),
        ("purchase_count_7d@gone", 2, "bought gone twice in the last 7 days", "近7天购买gone2次"),
    ],
)
def test_phrases(feature: str, value: float, english: str, chinese: str) -> None:
    assert in_words(feature, value, NAMES, "en") == english
    assert in_words(feature, value, NAMES, "zh") == chinese


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, math.nan])
def test_every_default_column_has_a_phrase(language: Language, value: float) -> None:
    columns = [*(f.name for f in default_person_features()), *STATIC_NAMES, *CROSS_NAMES]
    columns += [f"{name}@dairy" for name in (*(f.name for f in default_scope_features()), *Affinities.NAMES)]
    for column in columns:
        words = in_words(column, value, NAMES, language)
        assert "_all" not in words, column
        assert column.partition("@")[0].replace("_", " ") not in words or math.isnan(value), column
        assert not re.search("None|nan|{|}", words), column
        assert len(words) < 100, column


@st.composite
def aggregates(draw: st.DrawFn) -> Aggregate:
    measure = draw(st.sampled_from(MEASURES))
    of = {"sum": "amount", "distinct": "item"}.get(measure)
    days = draw(st.none() | st.integers(1, 400))
    return Aggregate(
        tuple(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True))),
        measure,
        of=of,
        condition=draw(st.none() | st.sampled_from(sorted(CONDITIONS))),
        half_life=30 if measure == "decayed" else None,
        **({} if days is None else {"window": past(days)}),
    )


@given(aggregates(), st.just(math.nan) | st.integers(0, 10**9), st.sampled_from(["en", "zh"]))
def test_every_declared_feature_has_a_phrase(aggregate: Aggregate, value: float, language: str) -> None:
    words = in_words(f"{aggregate.name}@dairy", value, NAMES, language)
    # The fallback shows the column's name; a phrase never does.
    assert aggregate.name.replace("_", " ") not in words
    assert ("dairy" if language == "en" else "乳品") in words
    assert "None" not in words
    assert "nan" not in words
