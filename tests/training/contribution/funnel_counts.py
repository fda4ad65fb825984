"""The funnel of a small log, row by row: what tests of the funnel count with."""

from __future__ import annotations

from typing import Any

from tests.training.contribution.small_notes import DAY, START, Row, link, log_of
from training.contribution.funnel import Funnel, by_key, funnel

NOTES = [
    {"note": "n1", "brand": "B", "creator": "c1"},
    {"note": "n2", "brand": "B", "creator": "c1"},
    {"note": "other", "brand": "X", "creator": "c2"},
]
READ = ("events", "identities", "notes", "items", "campaigns", "spend")
LINKS = [link("a", "P"), link("sa", "P")]


def counted(
    events: list[Row], by: Any = "click_date", days: int = 2, **more: Any
) -> dict[str, dict[str | None, Funnel]]:
    tables = {name: more.pop(name) for name in ("links", "items", "campaigns", "spend") if name in more}
    known = {"as_of": START + 60 * DAY, "post_click_days": 7} | more
    log = log_of(events, notes=NOTES, **{"links": LINKS, **tables})
    used = {name: log[name] for name in READ}
    rows = funnel(**used, brand="B", start=START, end=START + days * DAY, timezone="UTC", by=by, **known)
    return {part: by_key(rows, part) for part in ("all", "note", "creator", "campaign", "day")}


def everything(events: list[Row], **more: Any) -> Funnel:
    return counted(events, **more)["all"][None]
