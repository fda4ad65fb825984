"""The online store in Redis, for many servers that share one: needs the extra ``redis``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from features.errors import StoreError
from serving.online.redis_fill import RedisFill, begin_fill
from serving.online.redis_link import RedisLink
from serving.online.redis_packing import packed_row, packed_state, unpacked_row, unpacked_state
from serving.online.redis_scripts import DESCRIBE, END_SCAN, READ, SCAN, UPDATE
from serving.online.store import (
    Live,
    OnlineStore,
    RowBlock,
    StoredRow,
    StoredState,
    StoreInfo,
    Update,
    check_block,
    filled_anew,
    moved_on,
)

_KEYS_AT_ONCE: Final = 2000
_TRIES: Final = 5


class RedisStore(OnlineStore):
    """An online store in one database of a Redis server, 6 or newer, that holds nothing else; not a Redis cluster.

    A scan keeps the generation that it began with until ten minutes after its last block. Live updates of people
    whose block is still to come are seen by it.

    Parameters
    ----------
    url
        See `RedisLink`.

    Raises
    ------
    SettingsError
        The URL is no URL of Redis.
    StoreError
        The extra ``redis`` is not installed.
    """

    def __init__(self, url: str) -> None:
        self._link = RedisLink(url)

    def fill(
        self, schema_hash: str, width: int, as_of: int, *, replace: bool = True, source: str = ""
    ) -> RedisFill:
        """Begin to fill the store, see `OnlineStore.fill`.

        A fill that adds is put in by one script, while which Redis answers nobody: good for some thousands of
        people.
        """
        return begin_fill(self._link, schema_hash, width, as_of, replace=replace, source=source)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, see `OnlineStore.get`."""
        (fill, schema_hash, filled_at), packed = self._read("rows", persons)
        found: list[StoredRow | None] = []
        for one in packed:
            if one is None:
                found.append(None)
                continue
            as_of, seq, arrived_at, vector = unpacked_row(one)
            found.append(StoredRow(as_of, vector, schema_hash, fill, int(filled_at), seq, arrived_at))
        return found

    def scan(self, fill: str, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of everybody whose key lies in a range, see `OnlineStore.scan`."""
        generation, scan = "", secrets.token_hex(8)
        after, until = f"[{first}", "+" if end is None else f"({end}"
        try:
            while True:
                answer = self._filled(self._link.run(SCAN, generation, fill, scan, after, until, size))
                if (found := answer[1].decode()) != fill:
                    raise filled_anew(fill, found)
                generation, persons = answer[0].decode(), [person.decode() for person in answer[2]]
                if not persons:
                    return
                instants, _, _, vectors = zip(*map(unpacked_row, answer[3]), strict=True)
                yield RowBlock(persons, np.array(instants, np.int64), np.stack(vectors))
                after = f"({persons[-1]}"
        finally:
            if generation:
                self._link.run(END_SCAN, generation, scan)

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `OnlineStore.resolve`."""
        found = self._read("accounts", accounts)[1]
        return [
            account if person is None else person.decode() for account, person in zip(accounts, found, strict=True)
        ]

    def live(self) -> Live | None:
        """Return how far the store is in the live events, see `OnlineStore.live`."""
        return self._described()[1]

    def states(self, persons: Sequence[str]) -> list[StoredState | None]:
        """Return each person's state, see `OnlineStore.states`."""
        return [None if one is None else unpacked_state(one) for one in self._read("states", persons)[1]]

    def update(self, now: Live, seq: int, updates: Sequence[Update]) -> None:
        """Put in what live events made of people, see `OnlineStore.update`."""
        info, found = self._described()
        if found != now:
            raise moved_on(now, found)
        changes: list[str | bytes] = []
        for one in updates:
            if one.vector is not None:
                check_block([one.person], one.vector[None], info.width)
            row = (
                b""
                if one.vector is None
                else packed_row(one.as_of, one.state.seq, one.state.arrived_at, one.vector)
            )
            changes += [one.person, packed_state(one.state), row]
        if not self._link.run(UPDATE, now.fill, now.seq, now.state_hash, now.facts, seq, *changes):
            raise moved_on(now, self.live())

    def describe(self) -> StoreInfo:
        """Return what the store holds, see `OnlineStore.describe`."""
        return self._described()[0]

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _described(self) -> tuple[StoreInfo, Live | None]:
        meta, people, accounts = self._filled(self._link.run(DESCRIBE))
        fill, schema_hash, width, as_of, seq, state_hash, facts = (one and one.decode() for one in meta)
        live = None if seq is None else Live(fill, int(seq), state_hash, facts)
        return StoreInfo(schema_hash, int(width), int(as_of), people, accounts, fill), live

    def _read(self, part: str, fields: Sequence[str]) -> tuple[tuple[str, str, str], list[Any]]:
        """Return fill, layout and instant of the fill, and the values of fields, all of one generation."""
        starts = range(0, max(len(fields), 1), _KEYS_AT_ONCE)
        for _ in range(_TRIES):
            pages = [
                self._filled(self._link.run(READ, part, *fields[start : start + _KEYS_AT_ONCE])) for start in starts
            ]
            if len({(page[0], page[1][0]) for page in pages}) == 1:
                fill, schema_hash, as_of = (one.decode() for one in pages[0][1])
                return (fill, schema_hash, as_of), [value for page in pages for value in page[2]]
        raise StoreError("the online store is filled again and again", next_step="try again")

    @staticmethod
    def _filled(answer: Any) -> Any:
        if answer is None:
            raise StoreError("the online store is empty", next_step="run `zhongcao retrain` to fill it")
        return answer
