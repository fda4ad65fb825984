"""Filling the online store in Redis: a generation grows beside the one that is read, and replaces it at once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from serving.online.redis_link import RedisLink
from serving.online.redis_packing import packed_row, packed_state
from serving.online.redis_scripts import ABANDON, BEGIN, COMMIT, DESCRIBE, HOLD
from serving.online.store import Fill, StoredState, check_block

_SILENT_SECONDS: Final = 120
_BYTES_AT_ONCE: Final = 1 << 20
_FIELDS_AT_ONCE: Final = 1000


def begin_fill(
    link: RedisLink, schema_hash: str, width: int, as_of: int, *, replace: bool, source: str
) -> RedisFill:
    """Begin to fill a store, see `OnlineStore.fill`."""
    found, before = None if replace else link.run(DESCRIBE), ""
    if found is not None:
        before, there = found[0][0].decode(), found[0][1].decode()
        if there != schema_hash:
            raise StoreError(
                "the online store holds rows of another layout",
                value=schema_hash,
                valid=[there],
                next_step="fill it anew instead of adding to it",
            )
    generation = secrets.token_hex(8)
    facts = ("schema_hash", schema_hash, "width", width, "as_of", as_of)
    if not link.run(BEGIN, generation, _SILENT_SECONDS, *facts):
        raise StoreError(
            "another fill of the online store is under way",
            next_step=f"wait until it has ended; one that was killed is forgotten after {_SILENT_SECONDS} s",
        )
    digest = hashlib.sha256(f"{before}\x1f{schema_hash}\x1f{as_of}\x1f{source}".encode())
    return RedisFill(link, generation, digest, width, as_of=as_of, source=source, replace=replace)


class RedisFill(Fill):
    """A fill of a `RedisStore`: pipelines of about a megabyte, into keys that nobody reads yet."""

    def __init__(
        self,
        link: RedisLink,
        generation: str,
        digest: hashlib._Hash,
        width: int,
        *,
        as_of: int,
        source: str,
        replace: bool,
    ) -> None:
        self._link = link
        self._generation = generation
        self._digest = digest
        self._width = width
        self._as_of = as_of
        self._source = source
        self._replace = replace

    def add(self, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Add rows, see `Fill.add`."""
        check_block(persons, matrix, self._width)
        self._digest.update("\x1f".join(persons).encode())
        self._digest.update(np.ascontiguousarray(matrix).data)
        self._put("rows", persons, [packed_row(self._as_of, None, self._as_of, row) for row in matrix])

    def keep(self, persons: Sequence[str], states: Sequence[StoredState]) -> None:
        """Add states, see `Fill.keep`."""
        self._put("states", persons, [packed_state(state) for state in states])

    def live(self, seq: int, state_hash: str, facts: str) -> None:
        """Say how far the states are, see `Fill.live`."""
        self._put("meta", ["seq", "state_hash", "facts"], [str(seq).encode(), state_hash.encode(), facts.encode()])

    def link(self, accounts: Sequence[str], persons: Sequence[str]) -> None:
        """Say which person each account belongs to, see `Fill.link`."""
        self._digest.update("\x1f".join([*accounts, *persons]).encode())
        self._put("accounts", accounts, [person.encode() for person in persons])

    def commit(self) -> None:
        """Make everything that was added visible, at once."""
        name = f"{self._source} {self._digest.hexdigest()[:16]}".lstrip()
        self._mine(self._link.run(COMMIT, self._generation, int(self._replace), name))

    def abandon(self) -> None:
        """Forget everything that was added."""
        self._link.run(ABANDON, self._generation)

    def _put(self, part: str, fields: Sequence[str], values: Sequence[bytes]) -> None:
        key, start = f"zhongcao:{self._generation}:", 0
        while start < len(fields):
            end, size = start, 0
            while end < len(fields) and end - start < _FIELDS_AT_ONCE and size < _BYTES_AT_ONCE:
                size += len(values[end])
                end += 1
            some = fields[start:end]
            self._mine(self._link.run(HOLD, self._generation, _SILENT_SECONDS))
            with self._link.named_errors(), self._link.client.pipeline(transaction=False) as pipeline:
                pipeline.hset(key + part, mapping=dict(zip(some, values[start:end], strict=True)))
                if part == "rows":
                    pipeline.zadd(f"{key}persons", dict.fromkeys(some, 0))
                pipeline.execute()
            start = end

    @staticmethod
    def _mine(still: int) -> None:
        if not still:
            raise StoreError(
                f"this fill of the online store was silent for {_SILENT_SECONDS} s, and another has begun since",
                next_step="wait until that has ended",
            )
