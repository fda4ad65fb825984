"""Statistics as of arbitrary instants against the literal reading of their definitions, and against the batch."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import NEVER, Probe, Stream, known_from, window_spans
from features.days import instant_of
from features.definitions import ALL_PAST, Aggregate, past
from features.errors import FeatureError
from features.events import EVENTS
from features.impressions.history import PersonHistory
from features.impressions.note_tallies import sort_of
from features.people.acts import person_codes, read_acts
from features.people.person_links import PersonLinks
from features.people.population import population
from features.rows.batch import aggregate_dense
from features.spine import Spine
from tests.features.logs import DAY, START, Event, event, oracle
from tests.features.test_population import Link, identities, links_of

ZONES = {
    "UTC": START,
    "Asia/Shanghai": START,
    "Europe/Berlin": instant_of("2024-03-28", "Europe/Berlin"),
    "America/Sao_Paulo": instant_of("2017-10-12", "America/Sao_Paulo"),  # midnight is skipped on 15 October
    "America/St_Johns": instant_of(
        "1990-10-25", "America/St_Johns"
    ),  # one minute of 28 October, then the 27th again
    "Pacific/Apia": instant_of("2011-12-27", "Pacific/Apia"),  # there was no 30 December
}
KINDS = ("impression", "click", "read", "purchase")
COLUMNS = (
    "account", "kind", "event_time", "arrived_at", "day", "note", "creator", "topic", "campaign", "brand",
    "category", "item", "amount", "quantity", "dwell_ms", "read_percent",
)  # fmt: skip
AGGREGATES = [
    Aggregate(kinds, measure, of="amount" if measure == "sum" else None, window=window, condition=condition)
    for kinds in (("purchase",), ("read", "click"))
    for measure in ("count", "days", "sum", "recency")
    for window in (past(1), past(2), past(7), ALL_PAST)
    for condition in (None, "paid", "deep_read")
] + [Aggregate(KINDS, "tenure")]


def rows_of(log: list[Event]) -> pa.Table:
    schema = pa.schema([pa.field(c, EVENTS.column(c).arrow) for c in COLUMNS])
    return pa.Table.from_pylist([{name: e.get(name) for name in COLUMNS} for e in log], schema=schema)


def logs_in(zone: str, largest: int = 40) -> st.SearchStrategy[list[Event]]:
    """Logs over eight days in which minutes around the change of the clock are common."""
    return st.lists(
        st.builds(
            event,
            st.sampled_from("abcd"),
            st.sampled_from(KINDS),
            moments(zone),
            late=st.sampled_from((0, 0, 0, 1, 3600, DAY, 3 * DAY)),
            timezone=st.just(zone),
            brand=st.sampled_from(("x", "y", None)),
            campaign=st.sampled_from(("c", None)),
            amount=st.one_of(st.none(), st.integers(0, 3)),
            dwell_ms=st.sampled_from((None, 4999, 5000)),
            read_percent=st.sampled_from((None, 49.5, 50.0)),
        ),
        max_size=largest,
    )


def moments(zone: str) -> st.SearchStrategy[int]:
    start = ZONES[zone]
    near = st.integers(0, 8 * 48).map(lambda half_hours: start + half_hours * 1800)
    return st.builds(lambda at, by: at + by, near, st.sampled_from((0, 0, -1, 1, 20, 59, 60)))


def identities_in(zone: str) -> st.SearchStrategy[list[Link]]:
    def moved(links: list[Link]) -> list[Link]:
        made = []
        for one in links:
            since = ZONES[zone] + (one["valid_from"] - START) // 6
            made.append(
                one | {"valid_from": since, "arrived_at": since + (one["arrived_at"] - one["valid_from"]) // 4}
            )
        return made

    return identities().map(moved)


def counted(log: list[Event], links: list[Link], zone: str, spine: Spine, wanted: list[Aggregate]) -> np.ndarray:
    """Ask one history for all rows of a spine, rows × aggregates; -1 where nothing happened."""
    known = PersonLinks(links_of(links))
    persons = spine.rows["person"].combine_chunks()
    history = PersonHistory(read_acts(rows_of(log), known, persons), zone)
    codes = person_codes(persons, known.versions(persons, spine.instants))
    found = history.ask("person", codes, None, spine.instants, wanted)
    return np.stack([found[a] for a in wanted], axis=1) if wanted else np.zeros((len(spine), 0))


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_equal_to_the_batch_with_late_arrivals_links_and_withdrawals(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(sorted(ZONES)))
    log, links = data.draw(logs_in(zone)), data.draw(identities_in(zone))
    instants = sorted(set(data.draw(st.lists(moments(zone), min_size=1, max_size=5))))
    wanted = data.draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=6, unique=True))
    spine = population(rows_of(log), links_of(links), instants, zone)
    expected = aggregate_dense(rows_of(log), spine, wanted)
    np.testing.assert_array_equal(counted(log, links, zone, spine, wanted), np.nan_to_num(expected, nan=NEVER))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_equal_to_the_literal_reading_across_changes_of_the_clock(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(sorted(ZONES)))
    log = [e | {"account": "a"} for e in data.draw(logs_in(zone, largest=12))]
    instants = np.array(data.draw(st.lists(moments(zone), min_size=1, max_size=8)), np.int64)
    wanted = data.draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=4, unique=True))
    history = PersonHistory(read_acts(rows_of(log), PersonLinks(None), pa.array(["a"])), zone)
    found = history.ask("person", person_codes(pa.array(["a"] * len(instants))), None, instants, wanted)
    for a in wanted:
        if a.measure == "recency" and a.window.days and zone == "America/St_Johns":
            continue  # the last event may lie on an earlier day than one before it, see the test below
        for number, at in enumerate(instants.tolist()):
            seen = oracle(a, [e for e in log if e["arrived_at"] <= at], at, zone)
            assert found[a][number] == (NEVER if seen is None else seen), (a.name, at)


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_further_key_restricts_events_to_those_that_share_it(data: st.DataObject) -> None:
    log = data.draw(logs_in("UTC"))
    at = np.array(data.draw(st.lists(moments("UTC"), min_size=4, max_size=4)), np.int64)
    history = PersonHistory(read_acts(rows_of(log), PersonLinks(None), pa.array(list("abcd"))), "UTC")
    for brand in ("x", "y", "z"):
        brands = person_codes(pa.array([brand] * 4))
        found = history.ask("person_brand", person_codes(pa.array(list("abcd"))), brands, at, AGGREGATES[:4])
        for number, account in enumerate("abcd"):
            now = int(at[number])
            mine = [e for e in log if (e["account"], e["brand"]) == (account, brand) and e["arrived_at"] <= now]
            assert [found[a][number] for a in AGGREGATES[:4]] == [
                oracle(a, mine, now, "UTC") for a in AGGREGATES[:4]
            ]


@settings(max_examples=5, deadline=None)
@given(log=logs_in("UTC"), more=logs_in("UTC", 10), links=identities_in("UTC"), seed=st.randoms())
def test_neither_later_events_nor_the_order_of_rows_change_anything(
    log: list[Event], more: list[Event], links: list[Link], seed: Random
) -> None:
    instant = ZONES["UTC"] + 4 * DAY + 5
    spine = population(rows_of(log), links_of(links), [instant - DAY, instant], "UTC")
    later = [e for e in more if e["event_time"] >= instant] + [e | {"arrived_at": instant + 1} for e in more]
    known_later = [e | {"row_id": e["row_id"] + "+", "arrived_at": instant + 1, "person": "Z"} for e in links]
    before = counted(log, links, "UTC", spine, AGGREGATES)
    shuffled = seed.sample([*log, *later], len(log) + len(later))
    after = counted(shuffled, seed.sample([*links, *known_later], 2 * len(links)), "UTC", spine, AGGREGATES)
    np.testing.assert_array_equal(after, before)


def test_a_day_that_begins_twice_ends_twice() -> None:
    zone = "America/St_Johns"
    first = instant_of("1990-10-28", zone)
    midnight = event("a", "purchase", first + 30, timezone=zone)  # in the minute before the clock is put back
    before = event("a", "purchase", first - 30, timezone=zone)
    history = PersonHistory(read_acts(rows_of([midnight, before]), PersonLinks(None), pa.array(["a"])), zone)
    at = np.array([first + 45, first + 60, first + 3599, first + 3600])
    today = Aggregate(("purchase",), window=past(1))
    found = history.ask("person", person_codes(pa.array(["a"] * 4)), None, at, [today])
    assert found[today].tolist() == [1, 2, 2, 1]


def test_an_account_that_is_taken_from_a_person_takes_its_events_along() -> None:
    log = [event(account, "purchase", START) for account in "aab"]
    links = [
        {"account": "a", "person": "P", "at": 10}, {"account": "b", "person": "P", "at": 20},
        {"account": "a", "person": "Q", "at": 30}, {"account": "a", "person": "P", "at": 40},
    ]  # fmt: skip
    table = links_of(
        [
            {
                "row_id": str(n), "source": "t", "platform": "p", "arrived_at": START + one["at"],
                "valid_from": START + one["at"], "consent": None, "account": one["account"],
                "person": one["person"],
            }
            for n, one in enumerate(links)
        ]
    )  # fmt: skip
    known, at = PersonLinks(table), START + np.array([5, 10, 25, 35, 40])
    history = PersonHistory(read_acts(rows_of(log), known, pa.array(["a", "P", "Q"])), "UTC")
    bought = Aggregate(("purchase",))
    for person, expected in (("a", [2, 0, 0, 0, 0]), ("P", [0, 2, 3, 1, 3]), ("Q", [0, 0, 0, 2, 0])):
        persons = pa.array([person] * 5)
        codes = person_codes(persons, known.versions(persons, at))
        assert history.ask("person", codes, None, at, [bought])[bought].tolist() == expected
    alone = read_acts(rows_of(log), known, pa.array(["P"]), at=int(at[3]))
    found = PersonHistory(alone, "UTC").ask("person", person_codes(pa.array(["P"])), None, at[3:4], [bought])
    assert found[bought].tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=25),
    probes=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 80)), max_size=12),
    gap=st.integers(1, 20),
)
def test_a_run_goes_on_while_gaps_are_short(
    events: list[tuple[int, int]], probes: list[tuple[int, int]], gap: int
) -> None:
    keys, since = (np.array([e[n] for e in events], np.int64) for n in (0, 1))
    asked = Probe(*(np.array([p[n] for p in probes], np.int64) for n in (0, 1)))
    found = Stream(keys, since).run(asked, gap)
    for (key, at), length in zip(probes, found.tolist(), strict=True):
        mine, expected = sorted((s for k, s in events if k == key and s <= at), reverse=True), 0
        later = at + 1
        for moment in mine:
            if later - moment >= gap:
                break
            later, expected = moment, expected + 1
        assert length == expected


@settings(max_examples=40, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9 * DAY), st.integers(0, 5)), max_size=25),
    probes=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 12 * DAY)), max_size=12),
)
def test_coarse_streams_know_what_was_known_at_the_last_full_grain(
    events: list[tuple[int, int, int]], probes: list[tuple[int, int]]
) -> None:
    keys, times, values = (np.array([e[n] for e in events], np.int64) for n in (0, 1, 2))
    key, at = (np.array([p[n] for p in probes], np.int64) for n in (0, 1))
    coarse = Stream(keys, times + 1, times // DAY, (3,), values=values, grain=3600)
    fine = Stream(keys, times + 1, times // DAY, (3,), values=values)
    for window in (None, 3):
        found = coarse.totals(Probe(key, at // 3600), window)
        assert found.tolist() == fine.totals(Probe(key, at // 3600 * 3600), window).tolist()


def test_an_event_that_arrives_after_its_window_never_counts_in_it() -> None:
    since = known_from(np.array([0]), np.array([9 * DAY]))
    starts, ends, _ = window_spans(since, np.array([0]), 7, "UTC")
    assert (starts.tolist(), ends.tolist()) == ([9 * DAY], [9 * DAY])


def test_errors_say_what_cannot_be_kept() -> None:
    history = PersonHistory(read_acts(rows_of([]), PersonLinks(None), pa.array(["a"])), "UTC")
    code, at = person_codes(pa.array(["a"])), np.array([START])
    with pytest.raises(
        FeatureError, match="not kept as of every instant: 'purchase_distinct_item_all'; valid: count"
    ):
        history.ask("person", code, None, at, [Aggregate(("purchase",), "distinct", of="item")])
    with pytest.raises(FeatureError, match="with these conditions: 'purchase_count_coupon_all'; valid: paid"):
        sort_of(Aggregate(("purchase",), condition="coupon"))
    with pytest.raises(FeatureError, match="first event of a window is not kept"):
        history.ask("person", code, None, at, [Aggregate(("purchase",), "tenure", window=past(7))])
    with pytest.raises(FeatureError, match="windows are counted in days; pass the days"):
        Stream(code, at, windows=(7,))
    with pytest.raises(FeatureError, match="does not know when its events happened; pass their times"):
        Stream(code, at).last(Probe(code, at))
