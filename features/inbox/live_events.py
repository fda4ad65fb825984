"""Live events as they are sent become canonical rows; each that cannot is told why, the others go in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any, Final

import orjson

from features.events import EVENTS
from features.inbox.batch import LiveBatch, Verdict
from features.inbox.live_catalogue import LiveCatalogue
from features.inbox.live_columns import LiveColumn, live_columns
from features.inbox.live_content import contents
from features.people.identity import Pseudonyms
from features.rights.tombstones import ERASED, Tombstones
from features.sources.reader import Reason

NOT_YOUR_BRAND: Final = Verdict("refused", (Reason("brand", "not your brand"),))
PERSON_ERASED: Final = Verdict("refused", (ERASED,))
NOT_AN_OBJECT: Final = Verdict("quarantined", (Reason("row", "no JSON object"),))
_REQUIRED: Final = tuple(c.name for c in EVENTS.columns if c.required and not c.made and c.name != "arrived_at")
_SHOWN: Final = 100


class LiveReader:
    """Reads live events; may be used by several threads.

    Parameters
    ----------
    currency
        Of the log; amounts in major units are read as it.
    pseudonyms
        Keyed hashes of account ids.
    catalogue
        Items and notes that fill in what an event does not say; None fills in nothing.
    clock
        Epoch seconds.
    tombstones
        Who was erased: their events are refused and kept nowhere.
    """

    def __init__(
        self,
        currency: str,
        pseudonyms: Pseudonyms,
        catalogue: LiveCatalogue | None = None,
        clock: Callable[[], float] = time.time,
        tombstones: Tombstones | None = None,
    ) -> None:
        self._tombstones = tombstones
        self._currency = currency
        self._pseudonyms = pseudonyms
        self._catalogue = catalogue
        self._clock = clock
        self._readers = live_columns(currency, self._now)

    def read(
        self, items: Sequence[Any], source: str, *, brand: str | None = None, texts: Sequence[str] | None = None
    ) -> LiveBatch:
        """Look at the events of one request.

        Parameters
        ----------
        items
            Parsed JSON; None where a text was no JSON at all.
        source
            Who sends them.
        brand
            The only brand whose events the sender may send; None for all.
        texts
            What was sent, where that is not the JSON of the items.
        """

        def raw(place: int) -> str:
            return texts[place] if texts is not None else orjson.dumps(items[place]).decode()

        columns, problems = read_columns(self._readers, items)
        verdicts: list[Verdict | None] = [None] * len(items)
        for place, reasons in problems.items():
            verdicts[place] = Verdict("quarantined", tuple(reasons))
        if brand is not None:
            self._refuse_others(items, brand, verdicts)
        places: Sequence[int] = range(len(items))
        if problems or brand is not None:
            good = [verdict is None for verdict in verdicts]
            places = list(compress(places, good))
            columns = {name: list(compress(values, good)) for name, values in columns.items()}
        digests: list[bytes] = []
        if places:
            columns["account"] = self._accounts(columns["platform"], columns["account"])
        if self._tombstones is not None:
            columns, places = self._without_erased(columns, places, verdicts, raw)
        if places:
            columns["event_id"] = [
                f"{platform}:{kind}:{event_id}"
                for platform, kind, event_id in zip(
                    columns["platform"], columns["kind"], columns["event_id"], strict=True
                )
            ]
            digests = contents(columns)
            self._complete(columns, source)
        else:
            columns = {}
        return LiveBatch(source, self._now(), columns, digests, places, verdicts, raw)

    def _now(self) -> int:
        return int(self._clock())

    def _refuse_others(self, items: Sequence[Any], brand: str, verdicts: list[Verdict | None]) -> None:
        """Refuse, and keep nowhere, what is not known to be of the sender's brand."""
        for place, item in enumerate(items):
            said = item if type(item) is dict else {}
            brands = {said.get("brand")} - {None} if type(said.get("brand")) in (str, type(None)) else {""}
            if self._catalogue is not None:
                brands |= self._catalogue.brands(said.get("item"), said.get("note"))
            if brands != {brand}:
                verdicts[place] = NOT_YOUR_BRAND

    def _without_erased(
        self,
        columns: dict[str, Sequence[Any]],
        places: Sequence[int],
        verdicts: list[Verdict | None],
        raw: Callable[[int], str],
    ) -> tuple[dict[str, Sequence[Any]], Sequence[int]]:
        """Refuse, and keep nowhere, what is about somebody who was erased, valid or not."""
        if self._tombstones is None:
            return columns, places
        for place, verdict in enumerate(verdicts):
            if verdict is not None and verdict.outcome == "quarantined" and self._tombstones.named(raw(place)):
                verdicts[place] = PERSON_ERASED
        gone = self._tombstones.erased(set(columns["account"])) if places else set()
        if not gone:
            return columns, places
        kept = [account not in gone for account in columns["account"]]
        for place in compress(places, [not keep for keep in kept]):
            verdicts[place] = PERSON_ERASED
        return {name: list(compress(values, kept)) for name, values in columns.items()}, list(
            compress(places, kept)
        )

    def _accounts(self, platforms: Sequence[str], accounts: Sequence[str]) -> list[str]:
        if len(set(platforms)) == 1:
            return self._pseudonyms.accounts(platforms[0], list(accounts))
        return [self._pseudonyms.accounts(p, [a])[0] for p, a in zip(platforms, accounts, strict=True)]

    def _complete(self, columns: dict[str, Sequence[Any]], source: str) -> None:
        """Add what the log adds to imported rows, too."""
        size = len(columns["event_time"])
        now = self._now()
        columns["source"] = [source] * size
        # A sender's clock may be ahead of ours; nothing is known before it has happened.
        times = columns["event_time"]
        columns["arrived_at"] = [now] * size if max(times) <= now else [max(now, at) for at in times]
        if "amount" in columns:
            given = columns.get("currency", [None] * size)
            columns["currency"] = [
                c if a is None else self._currency for a, c in zip(columns["amount"], given, strict=True)
            ]
        if self._catalogue is not None:
            self._catalogue.fill(columns)


def read_columns(
    readers: Mapping[str, LiveColumn], items: Sequence[Any]
) -> tuple[dict[str, Sequence[Any]], dict[int, list[Reason]]]:
    """Return each column's values as they are stored, apart from ids, and what is wrong where.

    Parameters
    ----------
    readers
        How each column is read, of `features.inbox.live_columns.live_columns`.
    items
        Parsed JSON.

    Returns
    -------
    tuple
        Column → one value per item, and position → reasons.
    """
    problems: dict[int, list[Reason]] = {}
    if set(map(type, items)) - {dict}:
        problems = {p: list(NOT_AN_OBJECT.reasons) for p, item in enumerate(items) if type(item) is not dict}
        items = [item if type(item) is dict else {} for item in items]
    sent = set().union(*items)
    if not sent <= readers.keys():
        problems |= _unknown(items, readers)
    columns: dict[str, Sequence[Any]] = {}
    broken = frozenset(problems)
    given = _by_name(items, sent)
    for name, reader in readers.items():
        if name not in sent and name not in _REQUIRED:
            continue

        def tell(place: int, problem: str, value: Any, name: str = name) -> None:
            if place not in broken:
                shown = None if value is None else str(value)[:_SHOWN]
                problems.setdefault(place, []).append(Reason(name, problem, shown))

        columns[name] = reader.read(given.get(name) or [None] * len(items), tell)
    return columns, problems


def _by_name(items: Sequence[dict[str, Any]], names: set[str]) -> dict[str, Sequence[Any]]:
    ordered = sorted(names)
    if len(ordered) > 1 and set(map(len, items)) == {len(ordered)}:
        # All have the same fields: each is taken apart once.
        return dict(zip(ordered, zip(*map(itemgetter(*ordered), items), strict=True), strict=True))
    return {name: [item.get(name) for item in items] for name in ordered}


def _unknown(items: Sequence[dict[str, Any]], readers: Mapping[str, LiveColumn]) -> dict[int, list[Reason]]:
    problem = f"unknown field; valid: {', '.join(readers)}"
    return {
        place: [Reason(str(name)[:_SHOWN], problem) for name in sorted(item.keys() - readers.keys())]
        for place, item in enumerate(items)
        if not item.keys() <= readers.keys()
    }
