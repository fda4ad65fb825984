"""Rows of impressions against the literal reading of their columns, and that nothing in them was learned later."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from features.definitions import Aggregate
from features.errors import FeatureError
from features.events import COMMERCE_KINDS, EVENTS, KINDS, NOTE_ITEMS
from features.impressions.columns import PRIOR_DAYS, STATISTICS, Count, Rate, priors
from features.impressions.features import ImpressionFeatures, impression_rows, rows_by_person
from features.impressions.history import PERSON_KEYS, History, NoteHistory
from features.impressions.note_tallies import EVERYTHING, NOTE_KEYS, Tallies, read_tallies
from features.impressions.table import Impressions, read_impressions
from features.impressions.tag_scores import ScoredTags, TagScores
from features.people.acts import ACT_COLUMNS, Acts, code_of, read_acts
from features.people.person_links import PersonLinks
from tests.features.logs import DAY, oracle
from tests.features.test_impressions import ITEM_ROWS, NOTE_ROWS, canonical
from tests.features.test_population import Link, link, links_of

Event = dict[str, Any]
ZONE = "Asia/Kolkata"  # half an hour off: days do not begin with an hour of UTC
START = 1_500_000_000 // DAY * DAY
KNOWN = START + 200 * DAY
FEATURES = ImpressionFeatures(platforms=("xhs", "dy"), verticals=(("tea", "drinks"), ("milk", "drinks")))
LINKS = [{"note": "n", "item": "j"}, {"note": "n", "item": "i"}, {"note": "m", "item": "j"}]
COLUMN = {name: number for number, name in enumerate(FEATURES.columns)}
VERTICAL = dict(FEATURES.verticals)


def acted(number: int, kind: str, at: int, account: str, **more: Any) -> Event:
    day = int(np.floor_divide(START + at + 19_800, DAY))
    given = {
        "event_id": f"e{number:04d}", "kind": kind, "event_time": START + at, "arrived_at": START + at, "day": day,
        "platform": "xhs", "account": account,
    }  # fmt: skip
    return dict.fromkeys(c.name for c in EVENTS.columns) | given | more


def log_of(seed: int, many: int = 400, days: int = 100) -> list[Event]:
    """Two weeks of much and more of little, so that every window holds something."""
    rng = Random(seed)
    log = []
    for number in range(many):
        kind = rng.choice((*KINDS, "impression", "impression", "click", "purchase", "purchase"))
        near = rng.random() < 0.7
        at = (days - 14) * DAY + rng.randrange(14 * DAY) if near else rng.randrange(days * DAY)
        late = rng.choice((0, 0, 0, 0, 1, 1800, DAY, 9 * DAY))
        log.append(
            acted(
                number, kind, at, rng.choice("abc"), arrived_at=START + at + late,
                note=rng.choice(("n", "ad", None)) if kind != "impression" else rng.choice(("n", "ad")),
                creator=rng.choice(("u", "v", None)), topic=rng.choice(("t", None)),
                brand=rng.choice(("x", "y", None)),
                campaign=rng.choice(("c", None)), category=rng.choice(("tea", "milk", "soap", None)),
                item=rng.choice(("i", "j", None)), platform=rng.choice(("xhs", "dy", "wb")),
                amount=rng.choice((None, 300, 1299)), quantity=rng.choice((None, 0, 1, 2)),
                position=rng.choice((None, 3)),
                dwell_ms=rng.choice((None, 4_999, 5_000)), read_percent=rng.choice((None, 49.5, 50.0)),
            )
        )  # fmt: skip
    return log


def links_for(seed: int) -> list[Link]:
    rng = Random(seed)
    moments = [START + rng.randrange(100 * DAY) for _ in range(4)]
    return [
        link(str(n), rng.choice("abc"), rng.choice("PQ"), at, late=rng.choice((0, DAY)))
        for n, at in enumerate(moments)
    ]


def read(log: list[Event], links: list[Link], first: int = 0) -> tuple[pa.Table, Impressions]:
    events = canonical(EVENTS, log)
    impressions = read_impressions(
        events, links_of(links), NOTE_ROWS, items=ITEM_ROWS, start=START + first, end=KNOWN, known_at=KNOWN,
        timezone=ZONE,
    )  # fmt: skip
    return events, impressions


def rows_of(
    log: list[Event], links: list[Link], first: int = 0, size: int = 10**6, **more: Any
) -> tuple[Impressions, npt.NDArray[np.float32]]:
    events, impressions = read(log, links, first)
    rows = np.empty((len(impressions), len(more.get("features", FEATURES).columns)), np.float32)
    given = {"features": FEATURES, "note_items": canonical(NOTE_ITEMS, LINKS)} | more
    for part, made in rows_by_person(
        events=events, identities=links_of(links), impressions=impressions, size=size, **given
    ):
        rows[part] = made
    return impressions, rows


class Expected:
    """Reads the columns of one impression literally."""

    def __init__(self, log: list[Event], links: list[Link], row: Event) -> None:
        self.row, self.at = row, row["time"]
        known = [e for e in links if max(e["valid_from"], e["arrived_at"]) <= self.at]
        known.sort(key=lambda e: (e["valid_from"], e["arrived_at"], e["row_id"]))
        owner = {e["account"]: e["person"] for e in known}
        self.person = owner.get(row["account"], row["account"])
        self.mine = [
            e for e in log if owner.get(e["account"], e["account"]) == self.person and e["arrived_at"] <= self.at
        ]
        self.hour = self.at // 3600 * 3600
        self.all = [e for e in log if e["arrived_at"] <= self.hour]
        self.midnight = ((row["time"] + 19_800) // DAY * DAY - 19_800) // 3600 * 3600
        self.log = log

    def counted(self, of: str, a: Aggregate) -> float:
        columns = (PERSON_KEYS[of],) if of in PERSON_KEYS else NOTE_KEYS[of]
        pool, at = (self.mine, self.at) if of in PERSON_KEYS else (self.all, self.hour)
        for column in columns:
            if column == "items":
                value = {link["item"] for link in LINKS if link["note"] == self.row["note"]} | {
                    self.row["item"]
                } - {None}
                pool = [e for e in pool if e["item"] in value and e["kind"] in COMMERCE_KINDS]
                value = value or None
            elif column == "vertical":
                value = VERTICAL.get(self.row["category"])
                pool = [e for e in pool if VERTICAL.get(e["category"]) == value]
            elif column is not None:
                value = self.row[column]
                pool = [e for e in pool if e[column] == value]
            if column is not None and value is None:
                return np.nan
        seen = oracle(a, pool, at, ZONE)
        return np.nan if seen is None else seen

    def number(self, statistic: Count | Rate) -> float:
        if isinstance(statistic, Count):
            found = self.counted(statistic.of, statistic.aggregate)
            return found / DAY if statistic.aggregate.measure in {"recency", "tenure"} else found
        before = [e for e in self.log if e["arrived_at"] <= self.midnight]
        top, base = (oracle(a, before, self.midnight, ZONE) or 0 for a in priors([statistic])[statistic])
        prior = top / base if base else np.nan
        weight = statistic.weight
        return (self.counted(statistic.of, statistic.top) + weight * prior) / (
            self.counted(statistic.of, statistic.base) + weight
        )

    def price(self, pool: list[Event]) -> float:
        bought = [e for e in pool if e["kind"] == "purchase"]
        paid, pieces = sum(e["amount"] or 0 for e in bought), sum(max(e["quantity"] or 1, 1) for e in bought)
        return paid / pieces if pieces else np.nan


@pytest.mark.parametrize("seed", [1, 2])
def test_every_statistic_is_what_its_name_says(seed: int) -> None:
    log, links = log_of(seed), links_for(seed)
    impressions, rows = rows_of(log, links, first=90 * DAY)
    assert len(impressions) > 20
    for row, made in zip(impressions.table.to_pylist(), rows, strict=True):
        literal = Expected(log, links, row)
        assert literal.person == row["person"]
        for statistic in STATISTICS:
            expected = np.float32(literal.number(statistic))
            found = made[COLUMN[statistic.name]]
            assert np.array_equal(found, expected, equal_nan=True), (statistic.name, row["event_id"])


def test_prices_are_means_of_pieces() -> None:
    log = log_of(3)
    impressions, rows = rows_of(log, [], first=80 * DAY)
    some = 0
    for row, made in zip(impressions.table.to_pylist(), rows, strict=True):
        literal = Expected(log, [], row)
        here = [e for e in literal.mine if row["category"] and e["category"] == row["category"]]
        today = (literal.hour + 19_800) // DAY
        lately = [e for e in literal.all if e["category"] == row["category"] and e["day"] > today - 90]
        usual = literal.price([e for e in lately if e["event_time"] < literal.hour]) if row["category"] else np.nan
        own = literal.price([e for e in literal.mine if e["event_time"] < row["time"]])
        found = {name: made[number] for name, number in COLUMN.items()}
        assert np.array_equal(found["person_price"], np.float32(own), equal_nan=True)
        mine_here = literal.price([e for e in here if e["event_time"] < row["time"]])
        assert np.array_equal(found["person_category_price"], np.float32(mine_here), equal_nan=True)
        assert np.array_equal(found["category_price"], np.float32(usual), equal_nan=True)
        price = np.nan if row["price"] is None else row["price"]
        over = np.float32(price / own) if own else np.float32(np.nan)
        assert np.array_equal(found["price_over_person"], over, equal_nan=True)
        some += int(np.isfinite(over))
    assert some > 5


def test_the_moment_and_the_session() -> None:
    tuesday = 4 * DAY - 19_800  # 18 July 2017 begins in Kolkata
    log = [
        acted(n, "impression", tuesday + at, "a", note=note, platform=platform, position=n)
        for n, (at, note, platform) in enumerate(
            [(0, "n", "xhs"), (60, "n", "dy"), (60, "ad", "wb"), (1859, "ad", "xhs"), (3659, "n", "xhs")]
        )
    ]
    impressions, rows = rows_of(log, [])
    table = {name: rows[:, number].tolist() for name, number in COLUMN.items()}
    assert table["session_impressions"] == [0, 1, 1, 3, 0]
    assert table["hour"] == [0, 0, 0, 0, 1]
    assert table["weekday"] == [1] * 5
    assert table["linked_items"] == [2, 2, 0, 0, 2]
    assert table["position"] == [0, 1, 2, 3, 4]
    assert table["paid"] == [0, 0, 1, 1, 0]
    assert table["video"] == [1, 1, 0, 0, 1]
    np.testing.assert_array_equal(table["platform"], [0, 1, np.nan, 0, 0])
    age = tuesday + 9 + np.array([0, 60, np.nan, np.nan, 3659])  # the note was published 9 s before the start
    np.testing.assert_array_equal(table["note_age_days"], np.float32(age / DAY))
    np.testing.assert_array_equal(table["price"], [1299, 1299, np.nan, np.nan, 1299])
    assert len(impressions) == 5


def test_stock_is_days_since_the_last_purchase_over_the_usual_gap() -> None:
    bought = [("a", 1), ("a", 5), ("a", 5), ("a", 11), ("b", 2), ("b", 22), ("c", 3)]
    log = [acted(n, "purchase", day * DAY, who, category="tea") for n, (who, day) in enumerate(bought)]
    log += [acted(90 + n, "impression", 30 * DAY, who, note="n", category="tea") for n, who in enumerate("abcd")]
    log += [acted(99, "impression", 30 * DAY, "a", note="n", category="soap")]
    # What arrives later than a longer gap widens the gap only then.
    log += [acted(80, "purchase", 29 * DAY, "b", category="tea", arrived_at=START + 31 * DAY)]
    log += [acted(100, "impression", 32 * DAY, "b", note="n", category="tea")]
    _, rows = rows_of(log, [])
    usual = (10 + 20) / (2 + 1)  # a: 1, 5, 11; b: 2, 22
    later = (10 + 27) / (2 + 2)
    expected = [(10 + 2 * usual) / 4, (20 + 2 * usual) / 3, usual, usual, np.nan, (27 + 2 * later) / 4]
    since = np.array([19, 8, 27, np.nan, np.nan, 3])
    np.testing.assert_array_equal(rows[:, COLUMN["category_gap_days"]], np.float32([usual] * 4 + [np.nan, later]))
    np.testing.assert_array_equal(rows[:, COLUMN["person_category_gap_days"]], np.float32(expected))
    np.testing.assert_array_equal(rows[:, COLUMN["since_purchase_over_gap"]], np.float32(since / expected))


def test_one_person_alone_gives_the_same_bits() -> None:
    log, links = log_of(4), links_for(4)
    events, impressions = read(log, links, first=88 * DAY)
    _, rows = rows_of(log, links, first=88 * DAY)
    notes = FEATURES.notes(events, ZONE, note_items=canonical(NOTE_ITEMS, LINKS))
    kept = NoteHistory(Tallies(dict(notes.tallies.tables), ZONE))
    known = PersonLinks(links_of(links))
    for number in range(len(impressions)):
        one = impressions.take([number])
        at, person = int(one.times[0]), one.table["person"].combine_chunks()
        alone = read_acts(events, known, person, at=at)
        assert set(alone["person"].tolist()) <= {code_of(person[0].as_py())}
        packed = Acts({name: alone[name].copy() for name in ACT_COLUMNS})
        made = impression_rows(FEATURES, History(FEATURES.people(packed, ZONE), kept), one)
        assert made.tobytes() == rows[number].tobytes()


def test_parts_order_and_later_events_change_nothing() -> None:
    log, links = log_of(5), links_for(5)
    _, rows = rows_of(log, links, first=60 * DAY)
    _, parted = rows_of(log, links, first=60 * DAY, size=7)
    np.testing.assert_array_equal(parted, rows)
    rng = Random(5)
    _, shuffled = rows_of(rng.sample(log, len(log)), rng.sample(links, len(links)), first=60 * DAY)
    np.testing.assert_array_equal(shuffled, rows)
    cut = 95 * DAY
    before = [e for e in log if e["arrived_at"] < START + cut]
    impressions, early = rows_of(before, links, first=60 * DAY)
    everything = read(log, links, first=60 * DAY)[1].table["event_id"].to_pylist()
    places = [everything.index(event_id) for event_id in impressions.table["event_id"].to_pylist()]
    assert len(before) < len(log)
    assert len(places) > 20
    np.testing.assert_array_equal(rows[places], early)


def test_chosen_columns_are_those_of_all() -> None:
    log = log_of(6)
    chosen = FEATURES.choose(
        ["hour", "person_brand_cart_count_7d", "note_click_per_impression_30d", "price_over_person"]
    )
    _, rows = rows_of(log, [], first=90 * DAY)
    _, few = rows_of(log, [], first=90 * DAY, features=chosen)
    np.testing.assert_array_equal(few, rows[:, [COLUMN[name] for name in chosen.columns]])
    assert ImpressionFeatures.of_json(chosen.to_json()) == chosen
    assert len(set(FEATURES.columns)) == len(FEATURES.columns)


def test_scores_are_those_of_the_latest_instant_about_the_category() -> None:
    scores = TagScores(
        np.array([START + DAY, START + 3 * DAY]),
        (("a", "b"), ("a",)),
        (np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32), np.array([[0.7, 0.8, 0.9]], np.float32)),
        ScoredTags(("will-buy", "will-buy", "heavy"), (("tea", "milk"), ("soap",), ("*",))),
    )
    shown = [
        ("a", 0, "tea"),
        ("a", 1, "tea"),
        ("b", 2, "soap"),
        ("a", 3, "milk"),
        ("b", 3, "tea"),
        ("a", 4, "shoes"),
    ]
    log = [acted(n, "impression", d * DAY, who, note="n", category=c) for n, (who, d, c) in enumerate(shown)]
    features = ImpressionFeatures(patterns=("will-buy", "heavy", "new"))
    _, rows = rows_of(log, [], features=features, scores=scores)
    nan = np.nan
    np.testing.assert_array_equal(
        rows[:, -3:],
        np.float32([[nan] * 3, [0.1, 0.3, nan], [0.5, 0.6, nan], [0.7, 0.9, nan], [nan] * 3, [nan, 0.9, nan]]),
    )


def test_without_impressions_or_history_there_are_no_numbers_out_of_nothing() -> None:
    impressions, rows = rows_of([], [])
    assert rows.shape == (len(impressions), len(FEATURES.columns)) == (0, len(COLUMN))
    _, first = rows_of([acted(1, "impression", 0, "a", note="n")], [])
    assert first[0, COLUMN["person_impression_count_1d"]] == 0
    assert np.isnan(first[0, COLUMN["person_click_per_impression_90d"]])  # nobody's rate is known yet
    assert np.isnan(first[0, COLUMN["person_brand_cart_count_7d"]])  # the note has no brand


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(FeatureError, match="unknown column of impression rows: 'age'; valid: brand_"):
        FEATURES.choose(["age"])
    notes = NoteHistory(read_tallies(canonical(EVENTS, []), {"note": [Aggregate(("click",))]}, ZONE))
    with pytest.raises(FeatureError, match="tallied of note by that name: 'hide_count'; valid: click_count"):
        notes.ask("note", np.array([1]), np.array([START]), [Aggregate(("hide",))])
    with pytest.raises(FeatureError, match=r"acts have other columns: \['person'\]; valid: person, kind"):
        Acts({"person": np.zeros(0, np.int64)})
    with pytest.raises(FeatureError, match="two tags of pattern p are about one category: 'tea'"):
        ScoredTags(("p", "p"), (("tea",), ("tea",)))
    with pytest.raises(FeatureError, match="each tag's name and categories are needed: 1"):
        ScoredTags(("p", "q"), (("tea",),))
    with pytest.raises(FeatureError, match=r"scores are of another shape: \(1, 2\); valid: \(0, 2\)"):
        TagScores(
            np.array([0]), ((),), (np.zeros((1, 2), np.float32),), ScoredTags(("p", "q"), (("tea",), ("tea",)))
        )
    with pytest.raises(FeatureError, match="do not ascend"):
        TagScores(np.array([1, 1]), ((), ()), (np.zeros((0, 0), np.float32),) * 2, ScoredTags((), ()))


def test_priors_reach_as_far_as_tallies_are_kept() -> None:
    everything = {a for pair in priors(STATISTICS).values() for a in pair}
    assert {a.window.days for a in everything} == {PRIOR_DAYS}
    notes = FEATURES.notes(canonical(EVENTS, []), ZONE)
    assert set(notes.tallies.tables) == {*NOTE_KEYS, "gap", "link"} >= {EVERYTHING}
