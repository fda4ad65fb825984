from __future__ import annotations

from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.paths.brand_paths import BrandPaths, read_paths
from features.paths.conversions import Per, read_conversions
from features.paths.items import note_links
from features.paths.paths import By, Paths, Windows, paths_of
from features.paths.touches import read_touches
from tests.features.brand_logs import (
    DAY,
    END,
    ITEMS,
    KNOWN,
    NOTES,
    START,
    Row,
    event,
    events_of,
    link,
    links_of,
    owner,
    random_log,
)

ORDERED = START + 5 * DAY
BUY = event("purchase", ORDERED, brand="X", amount=100, order="o")


def read(rows: list[Row], links: list[Row] | None = None, **more: Any) -> BrandPaths:
    tables = {"notes": NOTES, "items": ITEMS, "identities": links_of(links or [])}
    asked = {"brands": ["X"], "start": START, "end": END, "known_at": KNOWN, "windows": Windows(3, 1)} | more
    return read_paths(events_of(rows), tables, **asked)


def touched(paths: Paths) -> list[list[str]]:
    """Event ids of the touches of each path."""
    names = paths.touches["event_id"].to_pylist()
    return [[names[row] for row in paths.touch[a:b]] for a, b in pairwise(paths.offsets)]


def test_windows_are_closed_at_the_far_edge_and_open_at_the_order() -> None:
    on = {"click": (1, 3 * DAY), "impression": (1, DAY)}
    off = {"click": (0, 3 * DAY + 1), "impression": (0, DAY + 1)}
    everybody = [(kind, gap, True) for kind in on for gap in on[kind]]
    everybody += [(kind, gap, False) for kind in off for gap in off[kind]]
    rows = []
    for number, (kind, gap, _) in enumerate(everybody):
        account = f"account{number}"
        rows += [event(kind, ORDERED - gap, account, note="n1"), BUY | {"account": account}]
    paths = read(rows).paths
    expected = {f"account{n}": [f"e{2 * n:04}"] if inside else [] for n, (_, _, inside) in enumerate(everybody)}
    assert dict(zip(paths.conversions["account"].to_pylist(), touched(paths), strict=True)) == expected
    assert paths.without_touch.tolist() == [not path for path in touched(paths)]


@pytest.mark.parametrize("windows", [Windows(7, 1), Windows(15, 7), Windows(30, 7), Windows(1, 7), Windows(30, 0)])
def test_usual_windows(windows: Windows) -> None:
    gaps = {"click": windows.click_days * DAY, "impression": windows.view_days * DAY}
    notes = {"click": "n1", "impression": "n2"}
    rows = [
        event(kind, ORDERED - gap - over, note=notes[kind]) for kind, gap in gaps.items() for over in (1, 0) if gap
    ]
    paths = read([*rows, BUY], windows=windows).paths
    assert sorted(touched(paths)[0]) == [f"e{2 * number + 1:04}" for number in range(len(rows) // 2)]


@pytest.mark.parametrize(("click", "view"), [(0, 1), (7, -1)])
def test_windows_need_days(click: int, view: int) -> None:
    with pytest.raises(FeatureError, match="post-click window has at least 1 day"):
        Windows(click, view)


def test_platforms_and_accounts_of_a_person_merge() -> None:
    rows = [
        event("click", ORDERED - 3, account="red", platform="xiaohongshu", note="n1"),
        event("click", ORDERED - 2, account="tok", platform="douyin", note="n2"),
        event("click", ORDERED - 1, account="other", note="n2"),
        BUY | {"account": "cat", "platform": "tmall"},
    ]
    mine = [link(account, "P", since=ORDERED - 9, late=10 * DAY) for account in ("red", "tok", "cat")]
    assert touched(read(rows, mine).paths) == [["e0000", "e0001"]]
    assert touched(read(rows, mine, known_at=KNOWN - 6 * DAY).paths) == [[]]  # the links had not arrived


def test_an_account_is_of_its_owner_at_the_time_of_the_order() -> None:
    rows = [event("click", ORDERED - 3, account="b", note="n1"), BUY]
    sold = [link("a", "P"), link("b", "P"), link("b", "Q", since=ORDERED)]
    assert touched(read(rows, sold).paths) == [[]]
    kept = [link("a", "P"), link("b", "P"), link("b", "Q", since=ORDERED + 1)]
    assert touched(read(rows, kept).paths) == [["e0000"]]


def test_a_note_of_another_brand_is_not_on_the_path() -> None:
    rows = [event("click", ORDERED - 3, note="n3"), event("click", ORDERED - 2, note="n1"), BUY]
    assert touched(read(rows, brands=["X", "Y"]).paths) == [["e0001"]]


def test_a_touch_is_on_the_path_of_every_order_in_its_window() -> None:
    later = BUY | {"event_time": ORDERED + DAY, "arrived_at": ORDERED + DAY, "order": "p"}
    assert touched(read([event("click", ORDERED - 3, note="n1"), BUY, later]).paths) == [["e0000"], ["e0000"]]


@pytest.mark.parametrize(("by", "counted"), [("order_date", [True, True]), ("click_date", [False, True])])
def test_by_click_date_and_by_order_date_at_the_start(by: By, counted: list[bool]) -> None:
    rows = [event("click", START - 1, note="n1"), event("click", START, note="n1")]
    buy = BUY | {"event_time": START + 1, "arrived_at": START + 1}
    paths = read([*rows, buy], by=by).paths
    assert (paths.counted.tolist(), paths.reported.tolist()) == (counted, [True])


@pytest.mark.parametrize(("by", "reported"), [("order_date", False), ("click_date", True)])
def test_by_click_date_and_by_order_date_at_the_end(by: By, reported: bool) -> None:
    rows = [event("click", END - 1, note="n1"), event("click", END, note="n1")]
    buy = BUY | {"event_time": END + 1, "arrived_at": END + 1}
    paths = read([*rows, buy], by=by).paths
    assert touched(paths) == [["e0000", "e0001"]]
    assert (paths.counted.tolist(), paths.reported.tolist()) == ([reported, False], [reported])


def test_orders_without_touch_are_those_of_the_stretch() -> None:
    buys = [BUY | {"event_time": at, "arrived_at": at, "order": None} for at in (START, END - 1, END)]
    for by in ("order_date", "click_date"):
        paths = read(buys, by=by).paths
        assert paths.without_touch.tolist() == [True, True, False]
        assert len(paths) == 3


def test_unknown_way_to_date() -> None:
    with pytest.raises(FeatureError, match="unknown way to date conversions: 'day'; valid: click_date, order_date"):
        read([], by="day")


@pytest.mark.parametrize("per", ["brand", "item"])
def test_halo_is_another_item_than_those_linked(per: Per) -> None:
    baskets = {"x": ["i2"], "y": [None], "z": ["i1", "i2"]}
    rows = [event("click", ORDERED - 9, buyer, note=note) for buyer in baskets for note in ("n1", "n2", "n4")]
    rows += [BUY | {"account": buyer, "item": item} for buyer, items in baskets.items() for item in items]
    paths = read(rows, per=per).paths
    notes, buyers = paths.touches["note"].to_pylist(), paths.conversions["account"].to_pylist()
    found = [
        (buyer, paths.conversions["item"][n].as_py(), notes[paths.touch[position]])
        for n, buyer in enumerate(buyers)
        for position in range(paths.offsets[n], paths.offsets[n + 1])
        if paths.halo[position]
    ]
    # n1 links i1 and n4 i2; n2 links nothing; what y bought is not known.
    of_items = [("x", "i2", "n1"), ("z", "i1", "n4"), ("z", "i2", "n1")]
    assert found == (of_items if per == "item" else [("x", None, "n1")])


def test_more_links_of_a_note() -> None:
    pairs = pa.table({"note": ["n1", "n1", "n2"], "item": ["i1", "i2", None]})
    links = note_links(duckdb.from_arrow(NOTES), duckdb.from_arrow(pairs))
    assert links.to_pylist() == [
        {"note": n, "item": i} for n, i in (("n1", "i1"), ("n1", "i2"), ("n3", "i3"), ("n4", "i2"))
    ]


def test_refunds_beside_the_paths() -> None:
    back = [
        event("refund", ORDERED + 1, brand="X", order="o", amount=130),
        event("refund", ORDERED + 1, brand="X", order="?", amount=7),
        event("refund", END, brand="X", order="?", amount=1000),
    ]
    found = read([BUY, *back])
    assert (found.refunds_over, found.refunds_unmatched) == (30, 7)


def test_touches_on_no_path_are_cut_person_by_person_and_window_by_window() -> None:
    rows = [
        event("click", START, account="b", note="n1"),
        event("click", START + 3 * DAY - 1, account="a", note="n2"),
        event("click", START + 3 * DAY, account="a", note="n1"),
        event("click", START + DAY, account="c", note="n1"),
        event("click", ORDERED - 1, account="c", note="n1"),
        event("click", START - 1, account="d", note="n1"),
        BUY | {"account": "c"},
    ]
    paths = read(rows, [link("a", "P"), link("b", "P")]).paths
    names = paths.touches["event_id"].to_pylist()
    ends = paths.unconverted_offsets.tolist()
    cut = [[names[row] for row in paths.unconverted_touch[a:b]] for a, b in pairwise(ends)]
    assert sorted(cut) == [["e0000", "e0001"], ["e0002"], ["e0003"]]


def test_names_of_levels() -> None:
    paths = read([event("click", START, note=note) for note in ("n1", "n2", "n4")]).paths
    codes, names = paths.names("creator")
    assert [names[code] for code in codes] == ["ann", "ann", None]
    with pytest.raises(FeatureError, match="unknown level of credit: 'topic'; valid: note, creator, campaign"):
        paths.names("topic")


def test_no_touches_and_no_orders() -> None:
    paths = read([]).paths
    assert (len(paths), paths.touch.tolist(), paths.unconverted_offsets.tolist()) == (0, [], [0])


def literally(paths: Paths, links: list[Row], by: str) -> list[tuple[list[int], bool]]:
    """Rows of touches on each conversion's path, and whether it is reported, pair by pair."""
    touches, found = paths.touches.to_pylist(), []
    for order in paths.conversions.to_pylist():
        at, rows = order["time"], []
        for row, touch in enumerate(touches):
            same = owner(links, touch["account"], at) == owner(links, order["account"], at)
            gap = at - touch["time"]
            if same and touch["brand"] == order["brand"] and 0 < gap <= (3 if touch["click"] else 1) * DAY:
                rows.append(row)
        inside = [START <= touches[row]["time"] < END for row in rows]
        ordered = START <= at < END
        found.append((rows, ordered if by == "order_date" or not rows else any(inside)))
    return found


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 120), st.sampled_from(("order_date", "click_date")))
def test_paths_are_the_literal_reading(seed: int, size: int, by: By) -> None:
    rows, links = random_log(seed, size)
    paths = read(rows, links, by=by, brands=["X", "Y"]).paths
    ends = paths.offsets.tolist()
    found = [paths.touch[a:b].tolist() for a, b in pairwise(ends)]
    assert list(zip(found, paths.reported.tolist(), strict=True)) == literally(paths, links, by)
    inside = [START <= t["time"] < END for t in paths.touches.to_pylist()]
    rest = {row for row, within in enumerate(inside) if within} - set(paths.touch.tolist())
    assert sorted(paths.unconverted_touch.tolist()) == sorted(rest)


def test_touches_and_conversions_may_be_joined_by_hand() -> None:
    touches = read_touches(
        events_of([event("click", START, note="n1")]), NOTES, start=START, end=END, known_at=KNOWN
    )
    conversions = read_conversions(events_of([BUY]), start=START, end=END, known_at=KNOWN)
    found = paths_of(touches, conversions, start=START, end=END, known_at=KNOWN)
    assert found.ago.tolist() == [5 * DAY]


@pytest.mark.parametrize(
    ("words", "followed"),
    [
        ([(0, False)], False),
        ([(0, True)], True),
        ([(0, False), (DAY, True)], True),
        ([(0, True), (KNOWN, False)], False),  # however late: the report looks back
        ([(0, True), (KNOWN + 1, False)], True),
        ([(0, True), (0, False)], False),
    ],
)
def test_whoever_refuses_is_not_followed(words: list[tuple[int, bool]], followed: bool) -> None:
    said = [link("a", "P", since, consent=consent) for since, consent in words]
    seen = [event("click", ORDERED - DAY, account, note="n1") for account in "ab"]
    found = read([*seen, event("click", ORDERED - 1, "c", note="n1"), BUY], [*said, link("b", "P")])
    assert found.paths.offsets.tolist() == ([0, 2] if followed else [0, 0])
    assert found.paths.without_touch.tolist() == [not followed]
    # Nor are their touches taken for people who did not convert.
    assert found.paths.unconverted_touch.tolist() == [2]


def test_an_account_that_came_to_somebody_who_refuses_is_not_followed_before_either() -> None:
    rows = [event("click", ORDERED - DAY, note="n1"), BUY]
    assert read(rows, [link("a", "P", END, consent=False)]).paths.offsets.tolist() == [0, 0]
    assert read(rows, [link("a", "P", END, consent=None)]).paths.offsets.tolist() == [0, 1]
