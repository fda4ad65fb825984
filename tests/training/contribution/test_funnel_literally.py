from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.contribution.funnel_counts import counted
from tests.training.contribution.small_notes import DAY, START, Row, event
from training.contribution.funnel import Funnel

KINDS = ("impression", "click", "read", "save", "hide", "link_click", "store_visit", "search", "cart", "purchase")
SHOWN = ("impression", "click", "link_click")


@st.composite
def random_log(draw: st.DrawFn) -> list[Row]:
    log = []
    for number in range(draw(st.integers(0, 60))):
        kind = draw(st.sampled_from(KINDS))
        named = kind not in ("search",) and draw(st.booleans())
        # No two things happen at once, so that what follows what is never a matter of ties.
        at = draw(st.integers(-48, 200)) / 24 + number / 50_000
        log.append(
            event(
                kind, draw(st.sampled_from(["a", "b", "sa", "s9"])), at, late=draw(st.sampled_from([0, 0, 30])),
                note=draw(st.sampled_from(["n1", "n2", "other"])) if named or kind in KINDS[:6] else None,
                brand=draw(st.sampled_from(["B", "X"])), order=f"o{number}", amount=draw(st.integers(0, 9)),
                dwell_ms=draw(st.sampled_from([None, 4_999, 5_000])),
            )
        )  # fmt: skip
    return log


def first_purchases(acts: list[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for act in sorted(acts, key=lambda e: e["event_time"]):
        if act["kind"] == "purchase":
            found.setdefault(act["person"], act["event_time"])
    return found


def followers(clicks: list[Row], acts: list[Row], by: str, period: range, window: int) -> dict[str, set[str]]:
    """People who did something with the brand after a click on the note."""
    people: dict[str, set[str]] = {name: set() for name in ("store_visit", "search", "purchase", "new")}
    first = first_purchases(acts)
    for click, act in product(clicks, acts):
        basis = click if by == "click_date" else act
        inside = 0 <= act["event_time"] - click["event_time"] < window and basis["event_time"] in period
        if act["person"] == click["person"] and inside:
            people.setdefault(act["kind"], set()).add(act["person"])
            if act["kind"] == "purchase" and first[act["person"]] >= click["event_time"]:
                people["new"].add(act["person"])
    return people


def shares_of_clickers(mine: list[Row], acts: list[Row], direct: list[Any], period: range, window: int) -> Row:
    """How many of the people who clicked in the period were won, entered the shop or searched afterwards."""
    clicks = [e for e in mine if e["kind"] == "click" and e["event_time"] in period]
    clickers = {e["person"] for e in clicks}
    after = followers(clicks, acts, "click_date", period, window)
    strangers = {act["person"] for act, clicked in direct if clicked is None and act["kind"] == "store_visit"}
    won = {
        act["person"] for act, clicked in through_the_link(mine, "click_date", period, window)
        if clicked is not None and is_deep(act)
    }  # fmt: skip
    return {
        "clickers": len(clickers),
        "clickers_won": len(won | after["search"]),
        "clickers_entered": min(len(after["store_visit"] | strangers), len(clickers)),
        "clickers_searched": len(after["search"]),
    }


def is_deep(act: Row) -> bool:
    return act["kind"] == "save" or (act["kind"] == "read" and (act["dwell_ms"] or 0) >= 5_000)


def through_the_link(mine: list[Row], by: str, period: range, window: int) -> Iterator[tuple[Row, int | None]]:
    """Acts with the note that count, each with the click before it."""
    for act in mine:
        same = [c["event_time"] for c in mine if c["kind"] == "click" and c["person"] == act["person"]]
        clicked = max((time for time in same if time <= act["event_time"]), default=None)
        basis = clicked if by == "click_date" and clicked is not None else act["event_time"]
        if basis in period and (clicked is None or act["event_time"] < clicked + window):
            yield act, clicked


def oracle(log: list[Row], note: str, by: str, as_of: int, window: int) -> dict[str, int]:
    """Read the definitions of one note's counts literally; the period is five days."""
    period = range(START, START + 5 * DAY)
    known = [
        row | {"person": {"a": "P", "sa": "P"}.get(row["account"], row["account"])}
        for row in log
        if row["event_time"] < as_of and row["arrived_at"] <= as_of
    ]
    acts = [e for e in known if e["brand"] == "B" or e["note"] in {"n1", "n2"}]
    first = first_purchases(acts)
    mine = [e for e in known if e["note"] == note]
    inside = [e for e in mine if e["event_time"] in period]
    people = followers([e for e in mine if e["kind"] == "click"], acts, by, period, window)
    won, direct = set(people["search"]), list(through_the_link(mine, by, period, window))
    for act, clicked in direct:
        if is_deep(act) and clicked is not None:
            won.add(act["person"])
        if act["kind"] in {"store_visit", "purchase"}:
            people[act["kind"]].add(act["person"])
        if act["kind"] == "purchase" and first[act["person"]] >= act["event_time"]:
            people["new"].add(act["person"])
    visits = [(v["person"], v["event_time"]) for v in acts if v["kind"] == "store_visit"]
    readers = {e["person"] for e in known if e["note"] in {"n1", "n2"} and e["kind"] in SHOWN}
    strangers = sum(e["kind"] == "store_visit" and e["person"] not in readers for e in inside)
    bounces = sum(
        e["kind"] == "link_click"
        and e["event_time"] + 1_800 < as_of
        and not any(who == e["person"] and 0 <= at - e["event_time"] <= 1_800 for who, at in visits)
        for e in inside
    )
    return shares_of_clickers(mine, acts, direct, period, window) | {
        "impressions": sum(e["kind"] == "impression" for e in inside),
        "reached": len({e["person"] for e in inside if e["kind"] == "impression"}),
        "clicks": sum(e["kind"] == "click" for e in inside),
        "hides": sum(e["kind"] == "hide" for e in inside),
        "link_clicks": sum(e["kind"] == "link_click" for e in inside),
        "bounces": max(bounces - strangers, 0),
        "deep_reads": sum(act["kind"] == "read" and (act["dwell_ms"] or 0) >= 5_000 for act, _ in direct),
        "store_visits": sum(act["kind"] == "store_visit" for act, _ in direct),
        "carts": sum(act["kind"] == "cart" for act, _ in direct),
        "orders": sum(act["kind"] == "purchase" for act, _ in direct),
        "revenue": sum(act["amount"] for act, _ in direct if act["kind"] == "purchase"),
        "true_interest": len(won),
        "entered": len(people["store_visit"]),
        "searched": len(people["search"]),
        "bought": len(people["purchase"]),
        "bought_new": len(people["new"]),
    }


@settings(max_examples=8, deadline=None)
@given(random_log(), st.sampled_from(["click_date", "order_date"]), st.sampled_from([5, 40]))
def test_random_logs_agree_with_the_definitions_read_literally(log: list[Row], by: str, known_days: int) -> None:
    as_of = START + known_days * DAY
    found = counted(log, by=by, days=5, as_of=as_of, post_click_days=3)["note"]
    for note in ("n1", "n2"):
        expected = oracle(log, note, by, as_of, 3 * DAY)
        counts = found.get(note, Funnel("note", note)).counts()
        assert {name: counts[name] for name in expected} == expected
