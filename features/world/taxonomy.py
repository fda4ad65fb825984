"""A small taxonomy over a world's verticals, to start with."""

from __future__ import annotations

from typing import Any, Final

from features.taxonomy.toml import taxonomy_toml
from features.world.catalogue import CATEGORIES, VERTICALS

_NAMES: Final = {
    "beauty": ("Beauty", "美妆"), "fashion": ("Fashion", "服饰"), "food": ("Food", "食品"),
    "home": ("Home", "家居"), "baby": ("Baby & children", "母婴"), "digital": ("Digital", "数码"),
    "sports": ("Sports & outdoor", "运动户外"), "pets": ("Pets", "宠物"),
}  # fmt: skip
_PATTERNS: Final = (
    ("will-buy", "will buy", "将购买", "Buys {vertical}", "count(purchase) >= 1"),
    ("cart", "fills the cart", "将加购", "Puts {vertical} into the cart", "count(cart) >= 1"),
    ("reader", "reads on", "多次阅读", "Opens three notes on {vertical}", "count(click) >= 3"),
    ("saver", "saves notes", "收藏笔记", "Saves a note on {vertical}", "count(save) >= 1"),
    (
        "jumper",
        "jumps to the shop",
        "挂链点击",
        "Follows a note on {vertical} to the shop",
        "count(link_click) >= 1",
    ),
)


def world_taxonomy() -> str:
    """Return a taxonomy file: eight verticals by five patterns, two weeks ahead.

    Examples
    --------
    >>> world_taxonomy().count("[[vertical]]")
    8
    """
    content: dict[str, Any] = {"name": "world", "version": 1, "horizon_days": 14}
    content["vertical"] = [
        {
            "id": vertical, "name": _NAMES[vertical][0], "name_zh": _NAMES[vertical][1],
            "categories": [category.name for category in CATEGORIES if category.vertical == vertical],
        }
        for vertical in VERTICALS
    ]  # fmt: skip
    content["pattern"] = [
        {
            "id": pattern, "name": f"{{vertical}}: {name}", "name_zh": f"{{vertical}}:{name_zh}",
            "meaning": f"{meaning} within {{horizon}} days.", "rule": rule,
        }
        for pattern, name, name_zh, meaning, rule in _PATTERNS
    ]  # fmt: skip
    return taxonomy_toml(content, ["Tags over the verticals of a simulated world."])
