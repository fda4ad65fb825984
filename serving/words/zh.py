"""Chinese phrases for factors."""

from __future__ import annotations

import math
from typing import Final

from features.events import COMMERCE_KINDS
from serving.words.measured import Measured

_ACTS: Final = {
    "impression": "看到{}笔记",
    "click": "点开{}笔记",
    "read": "阅读{}笔记",
    "like": "点赞{}笔记",
    "save": "收藏{}笔记",
    "comment": "评论{}笔记",
    "share": "分享{}笔记",
    "follow": "关注{}创作者",
    "search": "搜索{}",
    "hide": "屏蔽{}笔记",
    "link_click": "从{}笔记跳转店铺",
    "store_visit": "为{}进店",
    "item_view": "浏览{}",
    "favourite": "收藏{}商品",
    "cart": "加购{}",
    "purchase": "购买{}",
    "refund": "退货{}",
    "interest": "对{}感兴趣",
    "commerce": "选购{}",
    "event": "接触{}",
}
_CONDITIONS: Final = {
    "discounted": "打折的",
    "coupon": "用券的",
    "own_label": "自有品牌的",
    "paid": "广告带来的",
    "deep_read": "深度阅读的",
}
_MONEY: Final = {"amount": "消费", "discount": "享受折扣", "coupon": "用券抵扣"}
_MANY_ACTS: Final = "互动{}笔记"
_SHARES: Final = {"click": "{}笔记点击率{}", "refund": "{}退货率{}"}
_AFFINITIES: Final = {
    "svd_affinity": "购买习惯相近的人会买{}(强度{})",
    "svd_affinity_broad": "大体同类的人会买{}(强度{})",
    "item_affinity": "买过常与{}同买的商品(强度{})",
    "scope_price_level": "购买{}的价位是常见价的{}倍",
}
_BESIDE_OTHERS: Final = {
    "recency_over_median_gap": "距上次购买{}已是其买家通常间隔的{}倍",
    "gap_over_median_gap": "购买{}的间隔是其买家通常间隔的{}倍",
    "days_share": "购买{}的日子占全部购物日的{}",
}
_RATES: Final = {
    "base_rate_1": "最近一期人群中成立比例{}",
    "base_rate_2": "上一期人群中成立比例{}",
    "base_rate_mean": "历期人群中平均成立比例{}",
    "repeat_rate": "上期成立者中本期再次成立比例{}",
    "new_rate": "上期未成立者中本期成立比例{}",
    "buyer_share": "人群中购买过该类的比例{}",
}
_LEVELS: Final = {
    "buyer_trend": "近7天买家数是近30天的{}倍",
    "buyer_days": "买家平均有{}天购买",
    "median_gap": "买家通常隔{}天再次购买",
}
_ZERO_SAYS_LITTLE: Final = {("sum", of) for of in ("amount", "discount", "coupon", "dwell_ms")}
_UNKNOWN: Final = {
    "share": "占比", "rate": "比率", "price": "价位", "gap": "通常间隔", "overdue": "通常间隔", "unmet": "兴趣",
    "renewed": "先后", "wait": "先后", "newness": "新老",
}  # fmt: skip
_COLUMNS: Final = {
    "item": "种商品", "brand": "个品牌", "category": "个品类", "note": "篇笔记", "creator": "位创作者",
    "topic": "个话题", "shop": "家店", "order": "笔订单", "campaign": "个推广计划", "platform": "个平台",
}  # fmt: skip


def measured(aggregate: Measured, value: float, thing: str | None) -> str:
    """Say an aggregate; recency and tenure in days, money in minor units."""
    did = _act(aggregate, thing)
    if aggregate.measure in {"recency", "tenure"}:
        return _since(aggregate, value, did)
    if math.isnan(value):
        return f"{_window(aggregate)}{did}:未知"
    if value == 0 and (aggregate.measure, aggregate.of) not in _ZERO_SAYS_LITTLE:
        return _not(aggregate, did)
    return f"{_window(aggregate)}{_extent(aggregate, value, did)}"


def outcome(name: str, lag: int, horizon: int, value: float) -> str:
    """Say a tag's past outcome; lag 0 is the mean over all past windows."""
    if lag == 0:
        return f"历史上「{name}」成立的比例:{'未知' if math.isnan(value) else f'{100 * value:.0f}%'}"
    when = f"前{horizon}天" if lag == 1 else f"{(lag - 1) * horizon}至{lag * horizon}天前"
    if math.isnan(value):
        return f"{when}「{name}」是否成立:未知"
    return f"{when}「{name}」{'成立' if value > 0.5 else '未成立'}"


def outlook(name: str, value: float) -> str:
    """Say what a tag's linear model expects."""
    if math.isnan(value):
        return f"尚不知有类似历史的人是否会“{name}”"
    return f"有类似历史的人中,约{100 * min(max(value, 0.0), 1.0):.0f}%“{name}”成立"


def derived(function: str, first: Measured, value: float, thing: str | None) -> str:
    """Say a function of aggregates, of which `first` is the first."""
    did, what, window = _act(first, thing), thing or "商品或内容", _window(first)
    if not math.isfinite(value):
        return f"{what}的数据太少,{_UNKNOWN.get(function, function)}未知"
    size = _number(abs(value))
    phrases = {
        "share": f"{window}{did}占比{_share(value)}",
        "rate": window + _SHARES.get(first.kinds[0], "{}:比率{}").format(what, _share(value)),
        "price": f"{window}购买{what}件均价{value / 100:.2f}",
        "gap": f"平均每{size}天{did}",
        "overdue": f"距上次{did}已是平时间隔的{size}倍",
        "unmet": f"{window}{did}{size}次但未购买" if value else f"{window}已购买{what}或未表现兴趣",
        "renewed": f"最近一次对{what}感兴趣在最近一次购买{_side(value)}{size}天",
        "wait": f"首次购买{what}在首次感兴趣{_side(value)}{size}天",
        "newness": f"{window}首次购买{what}" if value else f"{first.days}天前已购买过{what}",
    }
    return phrases[function] if function in phrases else other(f"{did} {function}", value, None)


def other(name: str, value: float, thing: str | None) -> str:
    """Say any other feature; one that has no phrase by its readable name and its value."""
    if (said := _RATES.get(name) or _LEVELS.get(name)) and math.isfinite(value):
        return said.format(_share(value) if name in _RATES else _number(value))
    if name == "base_rate_trend" and math.isfinite(value):
        return f"人群中成立比例较上一期{'上升' if value > 0 else '下降'}"
    if name in _AFFINITIES and math.isfinite(value) and thing:
        return _AFFINITIES[name].format(thing, _number(value))
    if name in _BESIDE_OTHERS:
        return _beside_others(name, value, thing)
    of = f"{thing}的" if thing else ""
    return f"{of}{name.replace('_', ' ')}:{'未知' if math.isnan(value) else _number(value)}"


def _beside_others(name: str, value: float, thing: str | None) -> str:
    what = thing or "该类"
    if not math.isfinite(value):
        return f"{what}的数据太少,无法与其买家比较"
    return _BESIDE_OTHERS[name].format(what, _share(value) if name == "days_share" else _number(value))


def _act(aggregate: Measured, thing: str | None) -> str:
    what = _CONDITIONS.get(str(aggregate.condition), "") + (thing or "商品或内容")
    if len(aggregate.kinds) > 2:
        return (_ACTS["commerce"] if set(aggregate.kinds) <= set(COMMERCE_KINDS) else _MANY_ACTS).format(what)
    return "或".join(_ACTS.get(kind, f"{kind}{{}}").format(what) for kind in aggregate.kinds)


def _not(aggregate: Measured, did: str) -> str:
    return f"{_window(aggregate)}未{did}" if aggregate.days else f"从未{did}"


def _window(aggregate: Measured) -> str:
    return f"近{aggregate.days}天" if aggregate.days else "累计"


def _since(aggregate: Measured, days: float, did: str) -> str:
    if math.isnan(days):
        return _not(aggregate, did)
    order = "最近一次" if aggregate.measure == "recency" else "首次"
    return f"{order}{did}:{'不到1' if days < 1 else int(days)}天前"


def _extent(aggregate: Measured, value: float, did: str) -> str:
    number = _number(value)
    match aggregate.measure:
        case "count":
            how_much = f"{did}{number}次"
        case "days":
            how_much = f"有{number}天{did}"
        case "decayed":
            how_much = f"{did}约{number}次(越早权重越低)"
        case "distinct":
            how_much = f"{did}:{number}{_COLUMNS.get(str(aggregate.of), f'种{aggregate.of}')}"
        case _:
            how_much = f"{did}:{_sum(aggregate.of, value)}"
    return how_much


def _sum(column: str | None, value: float) -> str:
    if column in _MONEY:
        return f"{_MONEY[column]}{value / 100:.2f}"
    if column == "quantity":
        return f"{_number(value)}件"
    if column == "dwell_ms":
        return f"{_number(value / 1000)}秒"
    return f"{column} {_number(value)}"


def _side(value: float) -> str:
    return "之前" if value < 0 else "之后"


def _share(value: float) -> str:
    return f"{100 * value:.3g}%"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
