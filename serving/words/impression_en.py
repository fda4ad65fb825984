"""English phrases for impression features."""

from __future__ import annotations

import math
from typing import Final

PLACE: Final = "\x00"
"""Stands in a phrase for what it is about."""

_NOTES: Final = {
    "note": "this note",
    "note_platform": "this note on this platform",
    "campaign": "notes of this campaign",
    "creator": "notes by this creator",
    "topic": "notes on this topic",
    "vertical": "notes about this line of goods",
    "items": "notes about this note's items",
}
_GOODS: Final = {"vertical": "this line of goods", "items": "this note's items", "note": "what this note shows"}
_DONE: Final = {
    "click": "opened it after",
    "read": "read it deeply after",
    "like": "liked it after",
    "save+comment+share+follow": "saved, shared, commented or followed after",
    "link_click": "went to the shop after",
    "store_visit": "arrived in the shop after",
    "cart": "filled the cart after",
    "purchase": "bought after",
    "hide": "hid it after",
}
_BASES: Final = {
    "impression": "views of",
    "click": "openings of",
    "link_click": "jumps to the shop from",
    "store_visit": "shop visits after",
}
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CONTEXT: Final = {
    "position": ("the note's position", "the note would be shown at position {:.0f}"),
    "note_age_days": ("the note's age", "the note is {:.0f} days old"),
    "hour": ("the hour", "it is {:.0f} o'clock"),
    "linked_items": ("the number of items under the note", "items under the note: {:.0f}"),
    "session_impressions": ("the running session", "notes seen in this session: {:.0f}"),
    "person_category_gap_days": (
        "how often the category is needed", "would need this category about every {:.0f} days"
    ),
    "category_gap_days": (
        "how often people need the category", "people buy this category about every {:.0f} days"
    ),
    "since_purchase_over_gap": (
        "the last purchase of the category", "last bought this category {:.2g} times the usual gap ago"
    ),
    "price_over_person": (
        "the price beside what the person pays", "the price is {:.2g} times what the person usually pays"
    ),
    "price_over_person_category": (
        "the price beside what the person pays in the category",
        "the price is {:.2g} times what the person usually pays in this category",
    ),
    "price_over_category": (
        "the price beside the category's", "the price is {:.2g} times what this category usually costs"
    ),
}  # fmt: skip
_MONEY: Final = {
    "price": ("the price", "the price is {:.2f}"),
    "person_price": ("what the person pays a piece", "pays {:.2f} a piece on average"),
    "person_category_price": (
        "what the person pays a piece in the category", "pays {:.2f} a piece in this category on average"
    ),
    "category_price": ("what the category costs", "a piece of this category costs {:.2f} on average"),
}  # fmt: skip
_EITHER: Final = {
    "paid": ("whether the view is paid for", "nobody pays for the view", "the view is paid for"),
    "video": ("whether the note is a video", "the note is no video", "the note is a video"),
}


def placed(said: str, key: str, called: str | None, *, everybody: bool) -> str:
    """Put what a phrase is about into it."""
    if not key:
        return said.replace("notes about something", "notes").replace("notes about anything", "notes")
    said = said.replace(f"notes about {PLACE}", _notes(key, called))
    said = said.replace(PLACE, called or _GOODS.get(key, f"this {key}"))
    return f"people {said}" if everybody else said


def missing(key: str) -> str:
    """Say that the note has nothing of the kind."""
    if key in {"", "note", "note_platform"}:
        return f"nothing is known of the {'note' if key else 'person'}"
    return f"no {key} is known of the note"


def rate(
    kinds: tuple[str, str], value: float, days: int, key: str, called: str | None, *, everybody: bool, paid: bool
) -> str:
    """Say how often one act followed another."""
    base = ("paid " if paid else "") + _BASES[kinds[1]]
    share = f"about {100 * value:.3g} % of {base} {_notes(key, called) if key else 'notes'}"
    return f"{'people ' if everybody else ''}{_DONE[kinds[0]]} {share} in the last {days} days"


def context(name: str, value: float) -> str:
    """Say a column of the moment, the price, the session or the stock."""
    what, *forms = (_CONTEXT | _MONEY | _EITHER).get(
        name, (name.replace("_", " "), f"{name.replace('_', ' ')}: {{:.3g}}")
    )
    if name == "platform":
        return "the platform" if math.isfinite(value) else "the platform is not one of the model's"
    if not math.isfinite(value):
        return f"{what} is not known"
    if name == "weekday":
        return f"it is {_WEEKDAYS[int(value)]}"
    if name in _EITHER:
        return forms[int(value > 0.5)]
    return forms[0].format(value / 100 if name in _MONEY else value)


def score(pattern: str, value: float) -> str:
    """Say the score of a tag of the note's category."""
    what = f"the tag {pattern} of the note's category"
    return f"{what} is not scored" if math.isnan(value) else f"{what} has a probability of {100 * value:.3g} %"


def _notes(key: str, called: str | None) -> str:
    if called is None:
        return _NOTES.get(key, f"notes about this {key}")
    return {"creator": f"notes by {called}", "campaign": f"notes of {called}"}.get(key, f"notes about {called}")
