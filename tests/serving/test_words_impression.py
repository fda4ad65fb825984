"""Impression features in words."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from features.impressions.features import ImpressionFeatures
from serving.words.impression import explained, impression_in_words
from tests.training.chained_model import FEATURES, chained_model, rows
from training.conversion.explain import explain


@pytest.mark.parametrize(
    ("feature", "value", "english", "chinese"),
    [
        (
            "person_click_count_7d", 1,
            "opened notes once in the last 7 days",
            "近7天点开笔记1次",
        ),
        (
            "person_purchase_count_30d", 0,
            "did not buy anything in the last 30 days",
            "近30天未购买商品",
        ),
        (
            "person_link_click_recency_90d", 0.5,
            "last went to the shop from notes less than a day ago",
            "最近一次从笔记跳转店铺:不到1天前",
        ),
        (
            "person_brand_cart_count_7d", 2,
            "put this brand in the cart twice in the last 7 days", "近7天加购该品牌2次",
        ),
        (
            "person_campaign_hide_count_30d", 1,
            "hid notes of this campaign once in the last 30 days", "近30天屏蔽该推广计划的笔记1次",
        ),
        (
            "person_note_impression_count_1d", 0,
            "did not see this note in the last 1 day",
            "近1天未看到这篇笔记",
        ),
        (
            "person_creator_save+comment+share+follow_count_90d", 3,
            "engaged with notes by this creator 3 times in the last 90 days", "近90天互动该创作者的笔记3次",
        ),
        (
            "person_topic_read_count_deep_read_30d", 3,
            "read notes on this topic with a deep read 3 times in the last 30 days",
            "近30天深度阅读该话题的笔记3次",
        ),
        (
            "person_items_purchase_days_all", 2,
            "bought this note's items on 2 days so far",
            "累计有2天购买笔记所挂商品",
        ),
        (
            "person_category_purchase_recency_all", math.nan,
            "did not buy this category so far",
            "从未购买该品类",
        ),
        ("person_brand_click_count_7d", math.nan, "no brand is known of the note", "品牌未知"),
        (
            "note_purchase_count_30d", 8,
            "people bought what this note shows 8 times in the last 30 days",
            "大家近30天购买笔记所示商品8次",
        ),
        (
            "person_click_paid_per_impression_paid_90d", 0.1234,
            "opened it after about 12.3 % of paid views of notes in the last 90 days",
            "本人近90天对广告笔记的点击率约12.3%",
        ),
        (
            "brand_purchase_per_store_visit_30d", 0.04,
            "people bought after about 4 % of shop visits after notes about this brand in the last 30 days",
            "大家近30天对该品牌的笔记的进店购买率约4%",
        ),
        ("price", 9900, "the price is 99.00", "价格99.00"),
        (
            "price_over_person", 1.25,
            "the price is 1.2 times what the person usually pays",
            "价格是本人平时件均价的1.2倍",
        ),
        ("weekday", 0, "it is Monday", "今天是星期一"),
        ("paid", 0, "nobody pays for the view", "非广告展示"),
        ("video", 1, "the note is a video", "视频笔记"),
        ("position", math.nan, "the note's position is not known", "展示位置未知"),
        (
            "score_will-buy", 0.31,
            "the tag will-buy of the note's category has a probability of 31 %",
            "笔记品类的人群标签will-buy概率31%",
        ),
    ],
)  # fmt: skip
def test_phrases(feature: str, value: float, english: str, chinese: str) -> None:
    assert impression_in_words(feature, value) == english
    assert impression_in_words(feature, value, "zh") == chinese


def test_what_the_note_is_about_is_called_by_its_name() -> None:
    names = {"brand": "Acme", "creator": "Li", "campaign": "Spring"}
    said = [
        impression_in_words(feature, 2, "en", names)
        for feature in (
            "person_brand_click_count_7d",
            "person_creator_click_count_30d",
            "person_brand_cart_count_7d",
        )
    ]
    assert said == [
        "opened notes about Acme twice in the last 7 days",
        "opened notes by Li twice in the last 30 days",
        "put Acme in the cart twice in the last 7 days",
    ]
    assert impression_in_words("person_campaign_click_count_7d", 2, "zh", names) == "近7天点开Spring的笔记2次"


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 6.0, math.nan])
def test_every_column_has_words(value: float) -> None:
    for feature in ImpressionFeatures(patterns=("will-buy",)).columns:
        english, chinese = impression_in_words(feature, value), impression_in_words(feature, value, "zh")
        assert not re.search(r"[\x00_{}]|nan|None", english + chinese), feature
        assert re.search("[\u4e00-\u9fff]", chinese), feature
        assert not re.search("[\u4e00-\u9fff]", english), feature


def test_the_strongest_reasons_of_each_candidate_are_said() -> None:
    model = chained_model()
    x = rows(3)
    x[0] = np.nan
    said = explained(model, x, "purchase", 2, [{}, {"brand": "Acme"}, {}])
    strongest = [explanation.strongest(2) for explanation in explain(model, x, "purchase")]
    assert [[f.feature for f in some] for some in said] == [[f.feature for f in some] for some in strongest]
    assert all(f.value is None and f.feature in FEATURES for f in said[0])
    assert [f.words for f in said[1]] == [
        impression_in_words(f.feature, f.value, "en", {"brand": "Acme"}) for f in strongest[1]
    ]
    assert explained(model, x, "click", 1)[2][0].words_zh
