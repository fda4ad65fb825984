"""Predictions of conversions, computed again: the history and the notes of then, the bundle of then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast

import duckdb
import pyarrow as pa

from features.inbox.live_acts import acts_of_events
from features.log.event_log import EventLog
from features.people.acts import code_of
from serving.histories.fill import HISTORIES_READER, READ_TABLES, HistorySource
from serving.histories.known_events import histories_from
from serving.histories.packed import ACTS_SCHEMA, person_batches
from serving.histories.person_scores import PersonScores
from serving.histories.store import Found, HistoryInfo, HistoryStore, Scores, Shared, merged
from serving.histories.told import Told, told_events
from serving.messages.conversion_schemas import ConversionsRequest
from serving.online.backfill import linked_accounts
from serving.predictions.record import Made, Prediction
from serving.reproduction.gone import GoneError, bundle_of, check_version
from serving.reproduction.imported import imported, imports_before
from serving.reproduction.live_events import events_between, events_of, live_events
from serving.reproduction.tags import catching
from serving.scoring.conversions import ConversionScorer
from training.conversion.bundle import ConversionBundle, load_conversion_bundle, tags_inside
from training.tags.bundle import load_bundle

_NAME: Final = re.compile(r"\d+ (?P<as_of>\d+) log (?P<tables>.*) [0-9a-f]{12}")
_MOST_SCORERS: Final = 4
"""Each holds what was known of all notes at an hour."""
_NOBODY: Final = "0" * 32


@dataclass
class _Fill:
    """What a fill of the histories read."""

    log: EventLog
    con: duckdb.DuckDBPyConnection
    name: str
    source: HistorySource

    @cached_property
    def accounts(self) -> Mapping[str, str]:
        """Account → person, of accounts under other keys, as of the fill."""
        identities = self.log.table(self.con, "identities", self.source.versions["identities"])
        return linked_accounts(identities, self.source.present, [])

    @cached_property
    def people(self) -> Mapping[str, int]:
        """Person → place among everybody."""
        return {person: place for place, person in enumerate(self.source.people.persons)}

    @cached_property
    def shared(self) -> Shared:
        """What every answer needs beside the person."""
        return Shared(self.name, self.source.present, dict(self.source.shared(self.log, self.con)))

    def renewed(self, kept: Prediction, imports: int) -> pa.RecordBatch:
        """Return what a person had done, read again after an import, live events up to a number included."""
        person = str(kept.person)
        mine = self._accounts_of(person)
        known = events_of(self.con, self.log.events(self.con, self.source.versions["events"]), mine)
        live = live_events(self.log, self.con, mine, known, HISTORIES_READER).of(mine, kept.seq)
        came = imported(self.log, self.con, mine, known, imports)
        every = self.con.from_arrow(pa.concat_tables([known, came, live]))
        return histories_from(every, self.source.links, [person], self.source.present)[person]

    def _accounts_of(self, person: str) -> list[str]:
        mine = [account for account, owner in self.accounts.items() if owner == person]
        return mine if person in self.accounts else [*mine, person]

    def history(self, person: str, seq: int | None) -> pa.RecordBatch:
        """Return what a person had done, live events up to a number included."""
        history = pa.RecordBatch.from_pylist([], schema=ACTS_SCHEMA)
        if person in self.people:
            history = self.source.histories(self.source.people.take([self.people[person]]))[person]
        if seq is None:
            return history
        mine = self._accounts_of(person)
        version = self.log.events(self.con, self.source.versions["events"])
        known = events_of(self.con, version, mine)
        live = live_events(self.log, self.con, mine, known, HISTORIES_READER).of(mine, seq)
        code = code_of(person)
        fed = dict(person_batches(acts_of_events(live, [code] * len(live)), {code: person}))
        return merged(history, fed[person]) if fed else history

    def told(self, seq: int | None) -> Told:
        """Return what live events up to a number told of notes."""
        if seq is None:
            return Told(self.name, -1)
        between = events_between(self.log, self.con, self.source.position, seq, HISTORIES_READER)
        return Told(self.name, seq, [told_events(between)] if len(between) else [])

    def scores(self, person: str, scorer: PersonScores | None) -> Scores | None:
        """Return a person's scores of tags, if the fill knew the person."""
        if scorer is None or person not in self.people:
            return None
        return scorer.of(self.source.people.take([self.people[person]]), self.source.events)[person]


class _OneHistory:
    """What a scorer asks of a store of histories, where that holds one."""

    def __init__(self, shared: Shared, told: Told, scored_by: str) -> None:
        self._shared, self._told, self._scored_by = shared, told, scored_by
        self.found = Found(shared.fill, shared.as_of, [], [], scored_by)

    def describe(self) -> HistoryInfo:
        return HistoryInfo(ACTS_SCHEMA, self._shared.as_of, self._shared.fill, 1, 0, self._scored_by)

    def shared(self) -> Shared:
        return self._shared

    def told(self) -> Told:
        return self._told

    def get(self, _: Sequence[str]) -> Found:
        return self.found

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        return list(accounts)


class ConversionsAgain:
    """Makes kept predictions of conversions again.

    Parameters
    ----------
    log
        With its home's inbox and bundles.
    """

    def __init__(self, log: EventLog) -> None:
        self._settings, self._log = log.settings, log
        self._bundles: dict[str, ConversionBundle] = {}
        self._fills: dict[str, _Fill] = {}
        self._scores: dict[tuple[str, str], PersonScores | None] = {}
        self._deleted: Mapping[str, frozenset[str]] = {}
        self._scorers: dict[tuple[str, str, int | None], tuple[ConversionScorer, _OneHistory]] = {}

    def imports(self, kept: Prediction) -> Sequence[int]:
        """Return the versions of the events with imports that its history may have been renewed from."""
        if kept.person is None:
            return []
        return imports_before(self._log, self._fill(kept, kept.origin.source).source.versions["events"], kept)

    def made(self, kept: Prediction, imports: int | None = None) -> tuple[Made, bool]:
        """Return a prediction as it is made now, and True: versions of the log's tables do not change.

        Parameters
        ----------
        kept
            The prediction.
        imports
            One of `imports`: its history is read with what had come by file until then.

        Raises
        ------
        GoneError
            What it was made from is not there any more.
        """
        bundle = self._bundle(kept)
        fill, notes = self._fill(kept, kept.origin.source), self._fill(kept, kept.asked["notes"]["fill"])
        scorer, store = self._scorer(bundle, notes, kept.asked["notes"].get("seq"))
        person = kept.person or _NOBODY
        history, scores = None, None
        if kept.person is not None:
            history = fill.history(person, kept.seq) if imports is None else fill.renewed(kept, imports)
            scores = fill.scores(person, self._person_scores(kept, bundle, fill))
        # Under the name of the notes' fill, for the scorer to take these rather than to look for others.
        store.found = Found(notes.name, kept.as_of, [history], [scores], bundle.tags_bundle)
        asked = ConversionsRequest.model_validate(
            {"person": {"person": person}, **{name: kept.asked[name] for name in ("candidates", "context")}}
        )
        self._deleted = {person: frozenset(kept.asked.get("left_out", ()))}
        caught: list[Made] = []
        scorer.answer(asked, kept.asked["time"], catching(kept.id, caught))
        return caught[0], True

    def columns(self, kept: Prediction) -> Sequence[str]:
        """Return the names of the features' columns."""
        return self._bundle(kept).model.features

    def _scorer(
        self, bundle: ConversionBundle, notes: _Fill, told: int | None
    ) -> tuple[ConversionScorer, _OneHistory]:
        key = bundle.version, notes.name, told
        if key not in self._scorers:
            if len(self._scorers) == _MOST_SCORERS:
                del self._scorers[next(iter(self._scorers))]
            store = _OneHistory(notes.shared, notes.told(told), bundle.tags_bundle)
            scorer = ConversionScorer(bundle, cast(HistoryStore, store), b"", deleted_tags=lambda: self._deleted)
            self._scorers[key] = scorer, store
        return self._scorers[key]

    def _person_scores(self, kept: Prediction, bundle: ConversionBundle, fill: _Fill) -> PersonScores | None:
        key = bundle.version, fill.name
        if key not in self._scores:
            inside, source = tags_inside(bundle_of(self._settings, kept)), fill.source
            self._scores[key] = (
                None
                if inside is None
                else PersonScores(load_bundle(inside), fill.con, source.events, source.people, {})
            )
        return self._scores[key]

    def _bundle(self, kept: Prediction) -> ConversionBundle:
        folder = bundle_of(self._settings, kept)
        if folder.name not in self._bundles:
            self._bundles[folder.name] = load_conversion_bundle(folder)
        return self._bundles[folder.name]

    def _fill(self, kept: Prediction, name: str) -> _Fill:
        if name not in self._fills:
            said = _NAME.fullmatch(name)
            if said is None:
                raise GoneError("another version of zhongcao filled the histories of then", value=name)
            numbers = (one.split("=") for one in said["tables"].split())
            versions = {table: int(number) for table, number in numbers}
            for table in READ_TABLES:
                check_version(self._log, table, versions[table], kept)
            con = self._log.connect()
            source = HistorySource.of(self._log, con, int(said["as_of"]), versions)
            self._fills[name] = _Fill(self._log, con, name, source)
        return self._fills[name]
