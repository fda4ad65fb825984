"""What the conversion model expects of showing each note to each person, as of the instant of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.days import day_of
from features.impressions.columns import KEPT_KINDS
from features.impressions.features import ImpressionFeatures, impression_rows, known_after
from features.impressions.history import History
from features.impressions.table import IMPRESSION_SCHEMA, Impressions
from features.impressions.tag_scores import TagScores
from features.people.acts import read_acts
from features.people.person_links import PersonLinks
from training.conversion.bundle import ConversionBundle
from training.conversion.tag_scorer import PeopleScorer
from training.policy.plan_source import Delivered, PlanTables
from training.quality.metrics import Floats
from training.tags.bundle import Bundle

_ROWS_AT_ONCE: Final = 100_000
_PLACE: Final = 5
_ASKED: Final = """
select null as event_id, {at} as time, {day} as day, account, person, c.note, c.creator, c.topic, c.campaign,
    c.brand, c.category, platform, {place} as position, null as cost_micros, null as propensity,
    null as prediction_id, c.media, true as paid, c.published_at, c.item, i.price
from asked cross join candidates c left join items_ i on i.item = c.item
order by asked.number, c.number
"""


@dataclass(frozen=True)
class PlanModels:
    """What predicts.

    Parameters
    ----------
    tags
        Says who has which tag.
    conversion
        Says what follows an impression.
    scored
        Tag models whose scores the latter reads; None where it reads none.
    """

    tags: Bundle
    conversion: ConversionBundle
    scored: Bundle | None


def chances(
    tables: PlanTables, who: Delivered, notes: pa.Table, models: PlanModels, sought: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...], Floats]:
    """Predict what would come of showing each note to each person on each of their platforms, at this instant.

    Parameters
    ----------
    tables, who
        The log, and the people.
    notes
        Candidates, canonical rows.
    models
        Of conversions.
    sought
        The step that people differ by; its mean is scaled to the mean chance of a purchase.

    Returns
    -------
    person, platform, platforms, chance
        Numbers of both [rows], names of the platforms, and the chances of a purchase [rows, notes].
    """
    delivered = who.table.filter(pc.greater_equal(who.table["person"], 0))
    pairs = delivered.group_by(["person", "platform"]).aggregate([("account", "min")]).sort_by(
        [("person", "ascending"), ("platform", "ascending")]
    )  # fmt: skip
    person = np.asarray(pairs["person"]).astype(np.int64)
    names = tuple(sorted(pc.unique(pairs["platform"]).to_pylist()))
    platform = np.asarray(pc.index_in(pairs["platform"], pa.array(names, pa.string()))).astype(np.int64)
    model = models.conversion.model
    features = ImpressionFeatures.of_json(models.conversion.about["features"])
    links = PersonLinks(tables.identities, tables.at)
    everybody = features.notes(
        tables.events, tables.timezone, after=known_after(tables.at), note_items=tables.note_items
    )
    found = []
    for rows in _parts(person, max(_ROWS_AT_ONCE // notes.num_rows, 1)):
        keys = who.persons.take(pa.array(person[rows]))
        asked = pa.table({
            "number": np.arange(len(rows)), "account": pairs["account_min"].take(pa.array(rows)), "person": keys,
            "platform": pairs["platform"].take(pa.array(rows)),
        })  # fmt: skip
        impressions = Impressions(_asked(tables, asked, notes), tables.timezone, tables.at)
        acts = read_acts(
            tables.events, links, pc.unique(keys), after=known_after(tables.at), before=tables.at, kept=KEPT_KINDS
        )
        history = History(features.people(acts, tables.timezone), everybody, links)
        scores = None if models.scored is None else _scores(tables, who, models.scored, pc.unique(keys))
        found.append(model.predict(impression_rows(features, history, impressions, scores)))
    every = np.concatenate(found)
    bought, step = (every[:, model.targets.index(target)] for target in ("ctcvr", sought))
    chance = step * (bought.mean() / step.mean()) if step.mean() > 0 else bought
    return person, platform, names, np.minimum(chance, 1.0).reshape(len(person), -1)


def _asked(tables: PlanTables, asked: pa.Table, notes: pa.Table) -> pa.Table:
    con = tables.con
    con.register("asked", asked)
    con.register("candidates", notes.append_column("number", pa.array(np.arange(notes.num_rows))))
    con.register("items_", tables.items)
    question = _ASKED.format(at=tables.at, day=int(day_of(tables.at, tables.timezone)), place=_PLACE)
    found = con.sql(question).to_arrow_table()
    for name in ("asked", "candidates", "items_"):
        con.unregister(name)
    return found.cast(IMPRESSION_SCHEMA)


def _scores(tables: PlanTables, who: Delivered, bundle: Bundle, persons: pa.Array) -> TagScores:
    scorer = PeopleScorer(bundle)
    there = np.flatnonzero(np.asarray(pc.is_in(who.everybody.rows["person"], persons)))
    spine = who.everybody.take(there)
    thresholds = scorer.thresholds(tables.events, who.everybody)
    found = scorer.probabilities(tables.events, spine, thresholds)
    return TagScores(np.array([tables.at], np.int64), (tuple(spine.persons),), (found,), scorer.tags)


def _parts(person: NDArray[np.int64], rows: int) -> Iterator[NDArray[np.int64]]:
    """Yield numbers of rows, a person's together, about so many at a time."""
    start = 0
    while start < len(person):
        last = person[min(start + rows, len(person)) - 1]
        end = int(np.searchsorted(person, last, side="right"))
        yield np.arange(start, end)
        start = end
