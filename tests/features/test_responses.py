"""Which acts answer which impression, against a literal search through all of them."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.events import EVENTS, NOTE_ITEMS
from features.impressions.responses import DEFAULT_WINDOWS, TARGETS, Responses, responses
from features.impressions.table import Impressions, read_impressions
from tests.features.logs import DAY, START
from tests.features.test_impressions import NOTE_ROWS, canonical
from tests.features.test_population import Link, link, links_of

Event = dict[str, Any]
KNOWN = START + 40 * DAY
KINDS = (
    "click",
    "read",
    "save",
    "share",
    "search",
    "link_click",
    "store_visit",
    "cart",
    "purchase",
    "like",
    "refund",
)
DEEP = ("read", "save", "comment", "share", "follow", "search")
LINKED_ITEMS = {"n": ("i", "j"), "m": ("j",)}
NOTE_ITEM_ROWS = canonical(
    NOTE_ITEMS, [{"note": note, "item": item} for note, items in LINKED_ITEMS.items() for item in items]
)


def act(number: int, kind: str, at: int, account: str = "a", late: int = 0, **more: Any) -> Event:
    return {
        "event_id": f"e{number:03d}", "kind": kind, "event_time": START + at, "arrived_at": START + at + late,
        "day": (START + at) // DAY, "platform": "xhs", "account": account, "note": "n", "brand": "b", **more,
    }  # fmt: skip


def read(log: list[Event], links: Any = None, known_at: int = KNOWN) -> tuple[pa.Table, Impressions]:
    events = canonical(EVENTS, log)
    span = {"start": START, "end": START + 99 * DAY}
    return events, read_impressions(events, links, NOTE_ROWS, known_at=known_at, timezone="UTC", **span)


def answered(log: list[Event], links: Any = None, known_at: int = KNOWN, **more: Any) -> Responses:
    events, impressions = read(log, links, known_at)
    return responses(events, links, impressions, **more)


def times(found: Responses, target: str) -> list[int | None]:
    return [at - START if at else None for at in found.happened_at[:, TARGETS.index(target)].tolist()]


def log_of(seed: int, households: int = 10) -> list[Event]:
    """A dense log: households of two accounts that see a few notes, and many acts after that."""
    rng = Random(seed)
    about = (("n", "b"), ("n", "b"), ("n", "b"), ("m", "b"), ("o", "c"))

    def one(number: int, kind: str, household: int) -> Event:
        note, brand = rng.choice(about)
        shown = kind == "impression"
        at = rng.randint(0, 3 if shown else 5) * DAY // 2 + rng.randint(0, 9)
        late = rng.choice((0, 0, 0, DAY, 0 if shown else 60 * DAY))
        return act(
            number, kind, at, f"{rng.choice('aaab')}{household}", late,
            note=note if shown or rng.random() < 0.8 else None, brand=brand if rng.random() < 0.7 else None,
            dwell_ms=rng.choice((None, 5_000, 5_000)), item=rng.choice((None, "i", "j", "k")),
            prediction_id=rng.choice((None, None, None, f"p{household}", f"q{household}")),
            order=rng.choice((None, "o1", "o2")),
        )  # fmt: skip

    log: list[Event] = []
    for household in range(households):
        kinds = ["impression"] * rng.randint(1, 6) + rng.choices(KINDS, k=rng.randint(4, 14)) + ["click"] * 3
        log += [one(len(log) + number, kind, household) for number, kind in enumerate(kinds)]
    return log


def expected(
    log: list[Event], links: list[Link], windows: dict[str, int], match: str, net: bool
) -> dict[tuple[str, str], tuple[int, int]]:
    """(event id of an impression, target) → (happened at, known at), found by looking at everything."""
    known_links = sorted(
        (e for e in links if max(e["valid_from"], e["arrived_at"]) <= KNOWN),
        key=lambda e: (e["valid_from"], e["arrived_at"], e["row_id"]),
    )
    owner = {e["account"]: e["person"] for e in known_links}

    def held(account: str) -> int:
        moments = sorted({max(e["valid_from"], e["arrived_at"]) for e in known_links if e["account"] == account})
        since, before = 0, account
        for at in moments:
            now = [
                e for e in known_links if e["account"] == account and max(e["valid_from"], e["arrived_at"]) <= at
            ]
            if now[-1]["person"] != before:
                since, before = at, now[-1]["person"]
        return since

    def person(e: Event) -> str:
        return owner.get(e["account"], e["account"])

    log = [e for e in log if e["arrived_at"] <= KNOWN]
    shown = sorted((e for e in log if e["kind"] == "impression"), key=lambda e: (e["event_time"], e["event_id"]))

    def refunded(e: Event) -> bool:
        back = [r for r in log if r["kind"] == "refund" and r["order"] and r["account"] == e["account"]]
        return any(
            r["order"] == e["order"] and (None in (r["item"], e["item"]) or r["item"] == e["item"]) for r in back
        )

    found: dict[tuple[str, str], tuple[int, int]] = {}
    reached: dict[str, dict[str, int]] = {"click": {}, "link_click": {}}

    def give(target: str, kinds: tuple[str, ...], by: str, levels: tuple[str, ...], window: int) -> None:
        for e in log:
            if e["kind"] not in kinds or (e["kind"] == "read" and (e["dwell_ms"] or 0) < 5_000):
                continue
            if net and e["kind"] == "purchase" and refunded(e):
                continue
            if by == "items":
                fits = [s for s in shown if e["item"] and e["item"] in LINKED_ITEMS.get(s["note"], ())]
            else:
                fits = [s for s in shown if e[by] is not None and s[by] == e[by]]
            if not fits:
                continue
            predicted = [s for s in shown if e["prediction_id"] and s["prediction_id"] == e["prediction_id"]]
            mine = [s for s in fits if person(s) == person(e)]
            notes = {s["note"] for s in fits} if by == "items" else {None}
            best: list[tuple[Any, ...]] = []
            for level, anchor in enumerate(("named", *levels)):
                for note in notes:
                    pool = [s for s in mine if note is None or s["note"] == note]
                    if anchor == "named":
                        pool = [s for s in pool if s in predicted]
                    ordered = sorted(
                        (reached[anchor][s["event_id"]] if anchor in reached else s["event_time"], shown.index(s))
                        for s in pool
                        if anchor not in reached or s["event_id"] in reached[anchor]
                    )
                    ordered = [o for o in ordered if anchor == "named" or o[0] <= e["event_time"]]
                    if ordered and shown[ordered[-1][1]]["event_time"] <= e["event_time"]:
                        best.append((-level, *ordered[-1]))
            if best:
                s = shown[max(best)[2]]
                if e["event_time"] - s["event_time"] >= window:
                    continue
                linked = 0 if s["account"] == e["account"] else max(held(s["account"]), held(e["account"]))
                key = (s["event_id"], target)
                before = found.get(key, (10**12, 10**12))
                found[key] = (min(before[0], e["event_time"]), min(before[1], max(e["arrived_at"], linked)))

    give("click", ("click",), "note", ("impression",), windows["click"])
    reached["click"] = {event: at for (event, t), (at, _) in found.items() if t == "click"}
    give("link_click", ("link_click",), "note", ("click", "impression"), windows["link_click"])
    reached["link_click"] = {event: at for (event, t), (at, _) in found.items() if t == "link_click"}
    give("true_interest", DEEP, "note", ("click",), windows["true_interest"])
    give("true_interest", ("search",), "brand", ("click",), windows["true_interest"])
    for target in ("store_visit", "cart", "purchase", "ctcvr"):
        kind = "purchase" if target == "ctcvr" else target
        give(target, (kind,), match, ("link_click", "click", "impression"), windows[target])
    for event, target in list(found):
        if target == "ctcvr":
            if (event, "click") in found:
                click, bought = found[event, "click"], found[event, target]
                found[event, target] = (max(click[0], bought[0]), max(click[1], bought[1]))
            else:
                del found[event, target]
    return found


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    linked=st.lists(
        st.tuples(
            st.sampled_from(("a0", "b0", "a1", "b1")),
            st.sampled_from("PQ"),
            st.integers(0, 9),
            st.sampled_from((0, DAY)),
        ),
        max_size=6,
    ),
    match=st.sampled_from(("note", "note", "brand", "items")),
    net=st.booleans(),
    days=st.sampled_from((1, 3)),
)
def test_equal_to_a_search_through_everything(
    seed: int, linked: list[tuple[Any, ...]], match: Any, net: bool, days: int
) -> None:
    log = log_of(seed)
    links = [link(str(n), a, p, START + day * DAY, late=late) for n, (a, p, day, late) in enumerate(linked)]
    windows = DEFAULT_WINDOWS | {"click": days * DAY, "purchase": 2 * days * DAY, "ctcvr": days * DAY}
    events, impressions = read(log, links_of(links))
    found = responses(
        events, links_of(links), impressions, windows=windows, match=match, note_items=NOTE_ITEM_ROWS,
        net_of_refunds=net,
    )  # fmt: skip
    truth = expected(log, links, windows, match, net)
    for row, event_id in enumerate(impressions.table["event_id"].to_pylist()):
        for column, target in enumerate(TARGETS):
            at = found.happened_at[row, column], found.known_at[row, column]
            assert at == truth.get((event_id, target), (0, 0)), (event_id, target)


def test_a_later_impression_does_not_take_what_an_earlier_click_led_to() -> None:
    log = [act(1, "impression", 0), act(2, "click", 5), act(3, "link_click", 9), act(4, "impression", 100)]
    found = answered([*log, act(5, "purchase", 200), act(6, "impression", 300)])
    assert times(found, "purchase") == [200, None, None]
    assert times(found, "ctcvr") == [200, None, None]
    unclicked = answered([log[0], log[3], act(5, "purchase", 200)])
    assert times(unclicked, "purchase") == [None, 200]
    assert times(unclicked, "ctcvr") == [None, None]


def test_items_are_those_of_the_table_and_the_one_that_the_note_names() -> None:
    log = [
        act(1, "impression", 0),
        act(2, "purchase", 5, note=None, item="i"),
        act(3, "cart", 6, note=None, item="j"),
    ]
    alone, more = answered(log, match="items"), answered(log, match="items", note_items=NOTE_ITEM_ROWS)
    assert [times(found, "purchase") for found in (alone, more)] == [[5], [5]]  # NOTE_ROWS says that n links i
    assert [times(found, "cart") for found in (alone, more)] == [[None], [6]]


def test_what_an_old_click_led_to_answers_no_later_impression() -> None:
    log = [act(1, "impression", 0), act(2, "click", 5), act(3, "impression", 8 * DAY), act(4, "purchase", 9 * DAY)]
    assert times(answered(log, windows={"purchase": 7 * DAY}), "purchase") == [None, None]
    events, impressions = read(log)
    later = responses(events, None, impressions.take([1]), windows={"purchase": 8 * DAY})
    assert times(later, "purchase") == [None]


def test_windows_run_from_the_impression_and_hold_their_first_second_only() -> None:
    log = [act(1, "impression", 0), act(2, "click", 0), act(3, "purchase", 10)]
    assert times(answered(log, windows={"purchase": 10}), "purchase") == [None]
    found = answered(log, windows={"purchase": 11, "ctcvr": 10})
    assert (times(found, "click"), times(found, "purchase"), times(found, "ctcvr")) == ([0], [10], [None])


def test_true_interest_needs_the_click_and_then_depth() -> None:
    seen, click, deep = act(1, "impression", 0), act(2, "click", 50), act(3, "read", 60, dwell_ms=5_000)
    assert times(answered([seen, deep]), "true_interest") == [None]
    assert times(answered([seen, click, deep]), "true_interest") == [60]
    assert times(answered([seen, click, deep | {"dwell_ms": 4_999}]), "true_interest") == [None]
    assert times(answered([seen, click, act(4, "save", 40)]), "true_interest") == [None]
    by_brand = act(5, "search", 70, note=None)
    assert times(answered([seen, click, by_brand]), "true_interest") == [70]
    assert times(answered([seen, click, by_brand | {"brand": "c"}]), "true_interest") == [None]


def test_labels_appear_when_the_log_knows_and_mature_when_the_window_is_over() -> None:
    links = links_of([link("1", "a", "P", START), link("2", "s", "P", START + 3 * DAY)])
    log = [act(1, "impression", 0), act(2, "click", 5, late=DAY), act(3, "purchase", DAY, "s")]
    found = answered(log, links, windows={"click": 3600}, arrival_delay=DAY)
    click, bought = TARGETS.index("click"), TARGETS.index("purchase")
    assert found.known_at[0, [click, bought]].tolist() == [START + DAY + 5, START + 3 * DAY]
    assert [found.labels(START + DAY + at)[0, click] for at in (4, 5)] == [0, 1]
    assert [found.labels(START + 3 * DAY + at)[0, bought] for at in (-1, 0)] == [0, 1]
    assert [found.mature(START + 3600 + DAY + at)[0, click] for at in (-1, 0)] == [False, True]
    assert not found.mature(START + 16 * DAY - 1)[0, bought]
    assert found.labels(KNOWN).dtype == np.uint8
    earlier = answered(log, links, known_at=START + 3 * DAY - 1)
    assert times(earlier, "purchase") == [None]


def test_without_impressions_there_is_nothing_to_answer() -> None:
    found = answered([act(1, "click", 0)])
    assert found.happened_at.shape == found.labels(KNOWN).shape == found.mature(KNOWN).shape == (0, len(TARGETS))


def test_errors_name_what_is_wrong() -> None:
    log = [act(1, "impression", 0)]
    with pytest.raises(FeatureError, match="unknown target: 'buy'; valid: click, true_interest"):
        answered(log, windows={"buy": 1})
    with pytest.raises(FeatureError, match="window of click is a whole number of seconds from 1: 0"):
        answered(log, windows={"click": 0})
    with pytest.raises(FeatureError, match="unknown way to match events with impressions: 'shop'; valid: note"):
        answered(log, match="shop")
    with pytest.raises(FeatureError, match="no item of any note is known; pass note_items"):
        answered([log[0] | {"note": "o"}], match="items")
