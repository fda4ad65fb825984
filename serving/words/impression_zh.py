"""Chinese phrases for impression features."""

from __future__ import annotations

import math
from typing import Final

PLACE: Final = "\x00"
"""Stands in a phrase for what it is about."""

_THINGS: Final = {
    "note": "这篇", "note_platform": "这篇", "campaign": "该推广计划", "creator": "该创作者", "topic": "该话题",
    "brand": "该品牌", "category": "该品类", "vertical": "该行业", "items": "笔记所挂商品", "item": "笔记所挂商品",
}  # fmt: skip
_GOODS: Final = {"note": "笔记所示商品", "campaign": "该推广计划的商品"}
_RATES: Final = {
    "click": "点击率",
    "read": "深度阅读率",
    "like": "点赞率",
    "save+comment+share+follow": "深度互动率",
    "link_click": "挂链点击率",
    "store_visit": "进店率",
    "cart": "进店加购率",
    "purchase": "进店购买率",
    "hide": "屏蔽率",
}
_CONTEXT: Final = {
    "position": ("展示位置", "展示在第{:.0f}位"),
    "note_age_days": ("笔记发布时间", "笔记已发布{:.0f}天"),
    "hour": ("时段", "当前{:.0f}点"),
    "linked_items": ("所挂商品数", "笔记挂有{:.0f}件商品"),
    "session_impressions": ("本次浏览", "本次已看到{:.0f}篇笔记"),
    "person_category_gap_days": ("该品类的购买间隔", "约每{:.0f}天需要购买该品类"),
    "category_gap_days": ("人们购买该品类的间隔", "人们约每{:.0f}天购买该品类"),
    "since_purchase_over_gap": ("上次购买该品类", "距上次购买该品类已是平时间隔的{:.2g}倍"),
    "price_over_person": ("与本人平时件均价之比", "价格是本人平时件均价的{:.2g}倍"),
    "price_over_person_category": ("与本人在该品类件均价之比", "价格是本人在该品类件均价的{:.2g}倍"),
    "price_over_category": ("与该品类件均价之比", "价格是该品类件均价的{:.2g}倍"),
}
_MONEY: Final = {
    "price": ("价格", "价格{:.2f}"),
    "person_price": ("本人平时件均价", "本人平时件均价{:.2f}"),
    "person_category_price": ("本人在该品类件均价", "本人在该品类件均价{:.2f}"),
    "category_price": ("该品类件均价", "该品类件均价{:.2f}"),
}
_EITHER: Final = {
    "paid": ("是否广告展示", "非广告展示", "广告展示"),
    "video": ("是否视频笔记", "图文笔记", "视频笔记"),
}


def placed(said: str, key: str, called: str | None, *, everybody: bool) -> str:
    """Put what a phrase is about into it."""
    said = said.replace("阅读深度阅读的", "深度阅读")
    if not key:
        return said.replace("商品或内容笔记", "笔记").replace("商品或内容", "商品")
    said = said.replace(f"{PLACE}笔记", _notes(key, called)).replace(PLACE, called or _GOODS.get(key, _THINGS[key]))
    return f"大家{said}" if everybody else said


def missing(key: str) -> str:
    """Say that the note has nothing of the kind."""
    return f"{_THINGS[key].removeprefix('该')}未知" if key else "本人情况未知"


def rate(
    kinds: tuple[str, str], value: float, days: int, key: str, called: str | None, *, everybody: bool, paid: bool
) -> str:
    """Say how often one act followed another."""
    what = ("广告" if paid else "") + (_notes(key, called) if key else "笔记")
    return f"{'大家' if everybody else '本人'}近{days}天对{what}的{_RATES[kinds[0]]}约{100 * value:.3g}%"


def context(name: str, value: float) -> str:
    """Say a column of the moment, the price, the session or the stock."""
    what, *forms = (_CONTEXT | _MONEY | _EITHER).get(
        name, (name.replace("_", " "), f"{name.replace('_', ' ')}:{{:.3g}}")
    )
    if name == "platform":
        return "展示平台" if math.isfinite(value) else "展示平台不在模型的平台之列"
    if not math.isfinite(value):
        return f"{what}未知"
    if name == "weekday":
        return f"今天是星期{'一二三四五六日'[int(value)]}"
    if name in _EITHER:
        return forms[int(value > 0.5)]
    return forms[0].format(value / 100 if name in _MONEY else value)


def score(pattern: str, value: float) -> str:
    """Say the score of a tag of the note's category."""
    what = f"笔记品类的人群标签{pattern}"
    return f"{what}未评分" if math.isnan(value) else f"{what}概率{100 * value:.3g}%"


def _notes(key: str, called: str | None) -> str:
    if called is None:
        return "这篇笔记" if key in {"note", "note_platform"} else f"{_THINGS[key]}的笔记"
    return f"{called}的笔记"
