"""Our models on the world's log: impression features and a conversion model, learned from what had arrived."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console

from features.days import DAY_SECONDS
from features.impressions.columns import KEPT_KINDS
from features.impressions.features import ImpressionFeatures, impression_rows, known_after
from features.impressions.history import History, NoteHistory
from features.impressions.note_tallies import GAPS, LINKS, Tallies, read_tallies
from features.impressions.table import IMPRESSION_SCHEMA, Impressions
from features.people.acts import read_acts
from features.people.person_links import PersonLinks
from features.settings import Settings
from features.world.people import PLATFORMS
from features.world.policy import Slots
from features.world.world import World
from training.conversion.fit import fit_conversion
from training.conversion.job import ConversionChoices, ConversionJob
from training.conversion.model import ConversionModel
from training.conversion.source import ConversionSource
from training.source import LogSource
from training.steps import Steps

STEPS = ("click", "true_interest", "link_click", "store_visit", "cart", "ctcvr")
"""The way from an impression to a purchase."""
ENOUGH = 1_000
"""An impression is worth by the last step that so many impressions led to: rarer ones rank worse than they aim."""

_CATALOGUE = ("notes", "items", "note_items")
_MOST_EXAMPLES = 60_000
_WARM_UP_DAYS = 7
_PLACE = 5
_ASKED = """
select null as event_id, {at} as time, {day} as day, account, person, c.note, creator, topic, campaign, c.brand,
    c.category, platform, {place} as position, null as cost_micros, null as propensity, null as prediction_id,
    media, true as paid, published_at, c.item, price
from asked cross join (candidates join notes using (note)) c left join items on items.item = c.item
order by asked.number, c.number
"""

Rows = NDArray[np.float32]


class WorldLog:
    """The world's log in memory, as an import would have it.

    Parameters
    ----------
    world
        Whose tables are known from the start.
    """

    def __init__(self, world: World) -> None:
        self.begin = world.settings.begin
        self.con = duckdb.connect()
        tables = world.tables()
        for name in (*_CATALOGUE, "identities"):
            self.con.register("given", tables[name])
            self.con.sql(f"create table {name} as select * from given")
        self.identities = tables["identities"]
        self._began = False
        self._tallied = 0
        self._tallies: dict[str, list[pa.Table]] = {}

    def add(self, events: pa.Table) -> None:
        """Append a day."""
        self.con.register("given", events)
        self.con.sql(
            "insert into events select * from given" if self._began else "create table events as from given"
        )
        self._began = True

    def known(self, at: int) -> duckdb.DuckDBPyRelation:
        """Return the events that had happened and arrived by an instant."""
        return self.con.table("events").filter(f"event_time < {at} and arrived_at <= {at}")

    def notes(self, features: ImpressionFeatures, until: int) -> NoteHistory:
        """Return what everybody did with notes, tallied from where the last call ended.

        Tallies carry the hour in which they were known, so that those of separate days lie beside each other. Only
        the gaps between a person's purchases of a category span days, and are read anew.
        """
        new = self.con.table("events").filter(f"event_time >= {self._tallied} and event_time < {until}")
        self._tallied = until
        for of, table in features.notes(new, "UTC", note_items=self.con.table("note_items")).tallies.tables.items():
            self._tallies.setdefault(of, []).append(table)
        tables = {of: pa.concat_tables(some) for of, some in self._tallies.items() if of not in {GAPS, LINKS}}
        bought = self.con.table("events").filter(f"kind = 'purchase' and event_time < {until}")
        gaps = read_tallies(bought, {}, "UTC").tables[GAPS]
        return NoteHistory(Tallies(tables | {GAPS: gaps, LINKS: self._tallies[LINKS][-1]}, "UTC"))

    def close(self) -> None:
        """Forget it."""
        self.con.close()


class Learner:
    """Trains a conversion model on the log, and values candidates by it.

    Parameters
    ----------
    log
        What to learn from.
    threads
        Of training and scoring.
    """

    def __init__(self, log: WorldLog, threads: int = 1) -> None:
        self.log, self.threads = log, threads
        self.model: ConversionModel | None = None
        self.features: ImpressionFeatures | None = None
        self.sought = ""
        self.steps = Steps(Console(file=io.StringIO()))

    def train(self, at: int) -> None:
        """Learn from everything that was known by an instant."""
        choices = ConversionChoices(most_examples=_MOST_EXAMPLES, warm_up_days=_WARM_UP_DAYS, paid_only=True)
        source = self.source(at, choices)
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home), threads=self.threads)
            job = ConversionJob(settings, at, choices, self.steps, source)
            examples, self.features = job.sample.examples, job.features
        self.model, _ = fit_conversion(examples, at, choices.fit, threads=self.threads)
        often = [step for step in STEPS if examples.seen(step, at).sum() >= ENOUGH and step in self.model.targets]
        self.sought = often[-1] if often else self.model.targets[0]

    def source(self, at: int, choices: ConversionChoices) -> ConversionSource:
        """Return the log as a training run reads it."""
        con = self.log.con
        log = LogSource(con, con.table("events"), con.table("identities"), "UTC", f"until {at}", at - 1)
        return ConversionSource(log, {name: con.table(name) for name in _CATALOGUE}, choices.outcomes(), self.steps)

    def rows(self, slots: Slots) -> tuple[Rows, NDArray[np.int64]]:
        """Return what was known when the day began of every person in it with every candidate.

        Returns
        -------
        rows, person
            float32 [persons, candidates, F]; the row of each slot's person [slots].
        """
        assert self.features is not None
        at = self.log.begin + slots.day * DAY_SECONDS
        _, first, person = np.unique(slots.person, return_index=True, return_inverse=True)
        links = PersonLinks(self.log.identities, at)
        accounts = slots.accounts().take(pa.array(first))
        persons = links.persons(accounts, np.full(len(first), at))
        impressions = Impressions(self._asked(slots, accounts, persons, first, at), "UTC", at)
        events = self.log.known(at)
        acts = read_acts(
            events, links, persons.unique().cast(pa.string()), after=known_after(at), before=at, kept=KEPT_KINDS
        )
        notes = self.log.notes(self.features, at)
        made = impression_rows(self.features, History(self.features.people(acts, "UTC"), notes, links), impressions)
        return made.reshape(len(first), len(slots.candidates.note), -1), person

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """Return the probability of what is sought [persons, candidates]."""
        assert self.model is not None
        chances = self.model.predict(rows.reshape(-1, rows.shape[-1]), threads=self.threads)
        return np.asarray(chances[:, self.model.targets.index(self.sought)].reshape(rows.shape[:2]))

    def _asked(self, slots: Slots, accounts: Any, persons: Any, first: NDArray[np.int64], at: int) -> pa.Table:
        con = self.log.con
        names = np.array(PLATFORMS)[slots.platform[first]]
        asked = pa.table({
            "number": np.arange(len(first)), "account": accounts, "person": persons, "platform": pa.array(names)
        })  # fmt: skip
        candidates = pa.table({
            "number": np.arange(len(slots.candidates.names)), "note": pa.array(slots.candidates.names, pa.string())
        })  # fmt: skip
        con.register("asked", asked)
        con.register("candidates", candidates)
        found = con.sql(_ASKED.format(at=at, day=at // DAY_SECONDS, place=_PLACE)).to_arrow_table()
        return found.cast(IMPRESSION_SCHEMA)
