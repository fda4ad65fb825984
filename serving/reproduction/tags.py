"""Predictions of tags, computed again: the row from the log of then, the scores from the bundle of then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.log.event_log import EventLog
from features.people.population import population
from features.rights.withdrawals import withdrawn
from features.rows.build import build_rows
from features.rows.outcomes import label_history
from features.spine import ACCOUNTS_SCHEMA, assemble
from serving.live.parity import thresholds_of
from serving.messages.schemas import PersonRef
from serving.online.added_columns import read_in
from serving.online.backfill import TAGS_READER, linked_accounts
from serving.online.live_rows import RowFacts
from serving.online.store import OnlineStore, StoredRow, StoreInfo
from serving.predictions.record import Keeps, Made, Prediction
from serving.reproduction.gone import GoneError, bundle_of, check_version
from serving.reproduction.imported import imported, imports_before
from serving.reproduction.live_events import events_of, live_events
from serving.scoring.scorer import Scorer
from training.source import LogSource, open_source
from training.tags.bundle import Bundle, load_bundle

_MOST_TRIED: Final = 5
"""Versions of the identities, of which each costs a reading of the log."""


@dataclass
class _Fill:
    """What a fill of the online store read.

    Parameters
    ----------
    log, source
        The log, and the version of it that the fill read.
    certain
        Whether the log still says of that version what it said, to the bit.
    filled_at
        Instant of the fill, epoch seconds.
    bundle
        That it was for.
    """

    log: EventLog
    source: LogSource
    certain: bool
    filled_at: int
    bundle: Bundle

    @cached_property
    def facts(self) -> RowFacts:
        """What the fill fitted on everybody."""
        kinds = self.bundle.about.get("choices", {}).get("kinds")
        source, at = self.source, self.filled_at
        everybody = population(source.events, source.identities, [at], source.timezone, kinds=kinds)
        return RowFacts.fitted(self.bundle.taxonomy, source.events, everybody, at, kinds)

    @cached_property
    def accounts(self) -> Mapping[str, list[str]]:
        """Person → accounts under other keys, as of the fill."""
        refused = withdrawn(self.source.identities, self.filled_at, self.filled_at)
        owned: dict[str, list[str]] = {}
        for account, person in linked_accounts(self.source.identities, self.filled_at, refused).items():
            owned.setdefault(person, []).append(account)
        return owned

    @cached_property
    def taken(self) -> set[str]:
        """Accounts that are another person's."""
        return {account for accounts in self.accounts.values() for account in accounts}

    def rows(self, kept: Sequence[Prediction], imports: int | None = None) -> NDArray[np.float32]:
        """Return the rows that predictions were made from, in the layout that the store holds.

        With a version of the events that imports made, what they brought until then is in the rows, too.
        """
        owned = [self._accounts_of(str(one.person)) for one in kept]
        every = sorted({account for accounts in owned for account in accounts})
        con, zone = self.source.con, self.source.timezone
        known = events_of(con, self.source.events, every)
        live = live_events(self.log, con, every, known, TAGS_READER)
        if imports is not None:
            known = pa.concat_tables([known, imported(self.log, con, every, known, imports)])
        # Each prediction has people and accounts of its own: those of one person may know different events.
        events, pairs = [], []
        for number, (one, accounts) in enumerate(zip(kept, owned, strict=True)):
            mine = pc.is_in(known["account"], pa.array(accounts, pa.string()))
            events.append(_renamed(pa.concat_tables([known.filter(mine), live.of(accounts, one.seq)]), number))
            pairs += [(number, f"{number} {account}") for account in accounts]
        rows, names = zip(*pairs, strict=True)
        instants = np.array([one.as_of for one in kept], np.int64)
        persons = pa.array([str(number) for number in range(len(kept))])
        spine = assemble(persons, instants, pa.table([rows, names], schema=ACCOUNTS_SCHEMA), zone, None)
        every_event = con.from_arrow(pa.concat_tables(events))
        taxonomy, layout = self.bundle.taxonomy, self.bundle.layout
        history = label_history(taxonomy, every_event, spine, thresholds_of(self.facts, instants))
        return build_rows(layout, every_event, spine, history)

    def _accounts_of(self, person: str) -> list[str]:
        owned = self.accounts.get(person, [])
        return owned if owned and person in self.taken else [*owned, person]


class TagsAgain:
    """Makes kept predictions of tags again.

    Parameters
    ----------
    log
        With its home's inbox and bundles.
    """

    def __init__(self, log: EventLog) -> None:
        self._settings, self._log = log.settings, log
        self._bundles: dict[str, Bundle] = {}
        self._fills: dict[tuple[str, int, str], _Fill] = {}
        self._rows: dict[tuple[str, int | None], NDArray[np.float32]] = {}
        self._expected: Sequence[Prediction] = ()

    def expect(self, kept: Sequence[Prediction]) -> None:
        """Say which predictions are asked for next: their rows are computed together."""
        self._expected, self._rows = kept, {}

    def imports(self, kept: Prediction) -> Sequence[int]:
        """Return the versions of the events with imports that its row may have been renewed from, latest first."""
        return imports_before(self._log, _version(kept), kept)

    def made(self, kept: Prediction, imports: int | None = None) -> tuple[Made, bool]:
        """Return a prediction as it is made now, and whether it is certain that the log says what it said.

        Parameters
        ----------
        kept
            The prediction.
        imports
            One of `imports`: its row is made with what had come by file until then.

        Raises
        ------
        GoneError
            What it was made from is not there any more.
        """
        bundle = self._bundle(kept)
        fill = self._fill(kept, bundle)
        if (kept.id, imports) not in self._rows:
            together = [kept, *(one for one in self._expected if _key(one) == _key(kept) and one.id != kept.id)]
            keys = [(one.id, imports) for one in together]
            self._rows |= zip(keys, fill.rows(together, imports), strict=True)
        person = str(kept.person)
        store = self._store(kept, bundle, self._rows[kept.id, imports])
        left_out = frozenset(kept.asked.get("left_out", ()))
        scorer = Scorer(bundle, store, b"", deleted_tags=lambda: {person: left_out})
        caught: list[Made] = []
        scorer.tags(
            [PersonRef.model_construct(person=person)],
            top=kept.asked["top"],
            min_probability=kept.asked["min_probability"],
            log=catching(kept.id, caught),
        )
        return caught[0], fill.certain

    def columns(self, kept: Prediction) -> Sequence[str]:
        """Return the names of the features' columns."""
        return self._bundle(kept).layout.columns

    def _store(self, kept: Prediction, bundle: Bundle, row: NDArray[np.float32]) -> OnlineStore:
        name, _, mark = kept.origin.source.partition("+")
        hashed = bundle.layout.base.schema_hash if mark else bundle.layout.schema_hash
        at = [kept.filled_at, kept.seq, kept.watermark]
        one = cast(OnlineStore, _OneRow(StoredRow(kept.as_of, row[: _width(bundle, mark)], hashed, name, *at)))  # type: ignore[arg-type]
        if not mark:
            return one
        store = read_in(one, self._settings, bundle.layout)
        if store.describe().fill != kept.origin.source:
            raise GoneError("the columns of added tags that it was made from were replaced since")
        return store

    def _bundle(self, kept: Prediction) -> Bundle:
        folder = bundle_of(self._settings, kept)
        if folder.name not in self._bundles:
            self._bundles[folder.name] = load_bundle(folder)
        return self._bundles[folder.name]

    def _fill(self, kept: Prediction, bundle: Bundle) -> _Fill:
        key = _key(kept)
        if key not in self._fills:
            source, certain = self._source(kept)
            self._fills[key] = _Fill(self._log, source, certain, kept.filled_at, bundle)
        return self._fills[key]

    def _source(self, kept: Prediction) -> tuple[LogSource, bool]:
        """Return the version of the log that a fill read, with the identities of then."""
        said, version = _data(kept), _version(kept)
        check_version(self._log, "events", version, kept)
        links = self._log.log_table("identities").history()
        known = [int(entry["version"]) for entry in links if int(entry["committed_at"]) <= kept.made_at]
        versions = sorted(known or [-1], reverse=True)[:_MOST_TRIED]
        opened = (
            open_source(self._settings, copied=False, version=version, identities=identities)
            for identities in versions
        )
        first = next(opened)
        found = next((source for source in chain([first], opened) if source.data_version == said), first)
        return found, found.data_version == said


class _OneRow:
    """What a scorer asks of a store, where that holds one row."""

    def __init__(self, row: StoredRow) -> None:
        self._row = row

    def describe(self) -> StoreInfo:
        row = self._row
        return StoreInfo(row.schema_hash, len(row.vector), row.filled_at, 1, 0, row.fill)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        return [self._row for _ in persons]

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        return list(accounts)


def _key(kept: Prediction) -> tuple[str, int, str]:
    """Name what many predictions have in common: data, instant and bundle."""
    return _data(kept), kept.filled_at, kept.origin.model


def _data(kept: Prediction) -> str:
    return kept.origin.source.partition(" ")[0]


def _version(kept: Prediction) -> int:
    """Return which version of the events the fill read."""
    return int(_data(kept).partition("-")[0].removeprefix("v"))


def _renamed(events: pa.Table, number: int) -> pa.Table:
    named = pc.binary_join_element_wise(str(number), events["account"], " ")
    return events.set_column(events.schema.get_field_index("account"), events.schema.field("account"), named)


def _width(bundle: Bundle, mark: str) -> int:
    return bundle.layout.base.width if mark else bundle.layout.width


def catching(prediction: str, caught: list[Made]) -> Keeps:
    """Return what hands a prediction over under the id that it had."""
    return _Catching(prediction, caught)


class _Catching:
    def __init__(self, prediction: str, caught: list[Made]) -> None:
        self._prediction, self._caught = prediction, caught

    def keep(self, make: Callable[[str], Made]) -> str:
        self._caught.append(make(self._prediction))
        return self._prediction
