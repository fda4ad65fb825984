"""Rows of one person at one instant against those of the code that makes training rows, bit by bit."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.days import day_of
from features.events import EVENTS, NOTE_ITEMS
from features.impressions.features import ImpressionFeatures, impression_rows
from features.impressions.history import History, NoteHistory
from features.impressions.moment import MomentRows
from features.impressions.numbers import KEY_SEPARATOR, ImpressionNumbers
from features.impressions.table import IMPRESSION_SCHEMA, Impressions
from features.impressions.tag_scores import ScoredTags, TagScores
from features.people.acts import ACT_COLUMNS, Acts, code_of, codes_of, read_acts
from features.people.person_links import PersonLinks
from tests.features.test_impression_features import FEATURES, LINKS, START, log_of
from tests.features.test_impressions import canonical

DAY = 86_400
# In St. John's the clock was put back over midnight until 2011.
ZONES = {"Asia/Kolkata": START, "America/St_Johns": 1_257_000_000 - 90 * DAY}


def logged(seed: int, zone: str) -> pa.Table:
    rows = log_of(seed, many=500)
    for row in rows:
        for name in ("event_time", "arrived_at"):
            row[name] += ZONES[zone] - START
        row["day"] = int(day_of(row["event_time"], zone))
    return canonical(EVENTS, rows)


def candidates(rng: Random, time: int, zone: str, many: int) -> Impressions:
    linked = {note: rng.choice(("i", "j", None)) for note in ("n", "ad", "m", "never")}
    rows = [
        dict.fromkeys(IMPRESSION_SCHEMA.names)
        | {
            "time": time, "day": int(day_of(time, zone)), "person": "a", "platform": rng.choice(("xhs", "wb")),
            "note": rng.choice(("n", "ad", "m", "never")), "creator": rng.choice(("u", "w", None)),
            "topic": rng.choice(("t", None)), "campaign": rng.choice(("c", None)),
            "brand": rng.choice(("x", "y", "z", None)), "category": rng.choice(("tea", "soap", "lamp", None)),
            "media": rng.choice(("video", "image", None)), "paid": rng.random() < 0.5,
            "published_at": rng.choice((time - 5 * DAY, None)),
            "price": rng.choice((0, 900, None)), "position": rng.choice((0, 4, None)),
        }
        for _ in range(many)
    ]  # fmt: skip
    platform = rows[0]["platform"]
    table = pa.Table.from_pylist(
        [row | {"platform": platform, "item": linked[row["note"]]} for row in rows], IMPRESSION_SCHEMA
    )
    return Impressions(table, zone, time)


def as_numbers(asked: Impressions, platforms: tuple[str, ...]) -> ImpressionNumbers:
    table = asked.table
    texts = {name: table[name] for name in ("note", "creator", "topic", "campaign", "brand", "category", "item")}
    texts["note_platform"] = pc.binary_join_element_wise(table["note"], table["platform"], KEY_SEPARATOR)
    given = {name: table[name] for name in ("position", "paid", "published_at", "price")}
    given["video"] = pc.equal(table["media"], "video")
    places = [float(platforms.index(p)) if p in platforms else np.nan for p in table["platform"].to_pylist()]
    numbers = {name: np.asarray(column.cast(pa.float64()), np.float64) for name, column in given.items()}
    return ImpressionNumbers(
        int(asked.times[0]),
        table["day"][0].as_py(),
        asked.timezone,
        {name: codes_of(column) for name, column in texts.items()},
        numbers | {"platform": np.array(places)},
    )


def notes_of(features: ImpressionFeatures, events: pa.Table, zone: str) -> NoteHistory:
    return features.notes(events, zone, note_items=canonical(NOTE_ITEMS, LINKS))


def of_person(events: pa.Table) -> Acts:
    return read_acts(events, PersonLinks(None, 2**33 - 1), pa.array(["a"]), at=0)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", range(3))
def test_many_random_requests_have_the_rows_of_the_batch(seed: int, zone: str) -> None:
    rng, events = Random(seed), logged(seed, zone)
    notes, acts = notes_of(FEATURES, events, zone), of_person(events)
    history, moments = History(FEATURES.people(acts, zone), notes), MomentRows(FEATURES, notes)
    first = ZONES[zone]
    days = sorted({rng.randrange(95 * DAY) for _ in range(12)} | {86 * DAY, 87 * DAY, 99 * DAY, 300 * DAY})
    varied = []
    for at in [*days, *days[::5]]:  # again: the hour may be kept or not
        time = first + at
        asked = candidates(rng, time, zone, rng.choice((1, 7, 40)))
        rows = moments.rows(acts, as_numbers(asked, FEATURES.platforms))
        wanted = impression_rows(FEATURES, history, asked)
        different = [
            name for name, one, other in zip(FEATURES.columns, rows.T, wanted.T, strict=True)
            if one.tobytes() != other.tobytes()
        ]  # fmt: skip
        assert different == []
        varied.append(rows)
    filled = np.nan_to_num(np.concatenate(varied), nan=-1)
    assert (filled.max(axis=0) > filled.min(axis=0)).mean() > 0.9


@pytest.mark.parametrize("time", [1_257_000_000 + hours * 1_800 for hours in range(-2, 6)])
def test_a_day_that_ends_twice_counts_as_in_the_batch(time: int) -> None:
    zone = "America/St_Johns"
    events = logged(1, zone)
    notes, acts = notes_of(FEATURES, events, zone), of_person(events)
    asked = candidates(Random(time), time, zone, 12)
    rows = MomentRows(FEATURES, notes).rows(acts, as_numbers(asked, FEATURES.platforms))
    assert rows.tobytes() == impression_rows(FEATURES, History(FEATURES.people(acts, zone), notes), asked).tobytes()


@pytest.mark.parametrize(
    "features",
    [
        FEATURES.choose(["price_over_category", "person_brand_click_count_7d", "hour"]),
        ImpressionFeatures(),
        FEATURES.choose(["note_click_per_impression_7d"]),
    ],
    ids=["some", "no names", "one"],
)
def test_chosen_columns_and_nobody(features: ImpressionFeatures) -> None:
    zone, time = "Asia/Kolkata", START + 90 * DAY + 77
    events = logged(5, zone)
    nobody = Acts({name: np.empty(0, kind) for name, kind in ACT_COLUMNS.items()})
    notes = notes_of(features, events, zone)
    asked = candidates(Random(2), time, zone, 9)
    for acts in (of_person(events), nobody):
        rows = MomentRows(features, notes).rows(acts, as_numbers(asked, features.platforms))
        wanted = impression_rows(features, History(features.people(acts, zone), notes), asked)
        assert rows.shape == (9, len(features.columns))
        assert rows.tobytes() == wanted.tobytes()


def test_an_empty_log_and_scores_of_tags() -> None:
    zone, time = "UTC", START
    features = ImpressionFeatures(platforms=("xhs",), patterns=("will-buy", "will-visit"))
    notes = notes_of(features, canonical(EVENTS, []), zone)
    scores = TagScores(
        np.array([time - DAY]), (("a",),), (np.array([[0.25, 0.5]], np.float32),),
        ScoredTags(("will-buy", "will-visit"), (("tea",), ("*",))),
    )  # fmt: skip
    nobody = Acts({name: np.empty(0, kind) for name, kind in ACT_COLUMNS.items()})
    asked = candidates(Random(2), time, zone, 30)
    numbers = as_numbers(asked, features.platforms)
    rows = MomentRows(features, notes).rows(nobody, numbers, scores, code_of("a"))
    wanted = impression_rows(features, History(features.people(nobody, zone), notes), asked, scores)
    assert rows.tobytes() == wanted.tobytes()
    assert set(rows[:, features.columns.index("score_will-visit")].tolist()) == {0.5}


def test_the_item_of_a_candidate_without_a_note_counts() -> None:
    zone, time = "Asia/Kolkata", START + 95 * DAY
    events = logged(0, zone)
    asked = candidates(Random(3), time, zone, 1)
    numbers = as_numbers(asked, FEATURES.platforms)
    nothing = np.zeros(1, np.int64)
    alone = {**numbers.codes, "note": nothing, "note_platform": nothing, "item": np.array([code_of("i")])}
    rows = MomentRows(FEATURES, notes_of(FEATURES, events, zone)).rows(
        of_person(events), ImpressionNumbers(time, numbers.day, zone, alone, numbers.numbers)
    )
    bought = [
        row for row in events.to_pylist()
        if row["account"] == "a" and row["kind"] == "purchase" and row["item"] == "i" and row["arrived_at"] <= time
    ]  # fmt: skip
    assert rows[0, FEATURES.columns.index("person_items_purchase_count_all")] == len(bought) > 0
    assert rows[0, FEATURES.columns.index("linked_items")] == 1
