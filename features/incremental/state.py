"""What is kept of one person: events as integers, sorted, so that the same events always are the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from features.days import DAY_SECONDS
from features.errors import FeatureError
from features.incremental.columns import FIXED, FORMAT, Encoded, Kept, KindColumns
from features.incremental.kernels import merged
from features.incremental.reading import Int64

_HEAD: Final = struct.Struct("<B8sqHIB")
_BLOCK: Final = struct.Struct("<BI")
_TYPES: Final[dict[int, Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
NEVER: Final = -(2**62)
"""Instant before all others."""
_SLACK_DAYS: Final = 2
"""A day of the log's time zone and a change of its clock are never longer."""


class PersonState:
    """Events of one person, as far as the features need them.

    Parameters
    ----------
    kept
        What is held.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.blocks: dict[int, Int64] = {}
        """Kind → int64 [rows of `KindColumns`, events], columns ascending; codes are places in `codes`, from 1."""
        self.codes = np.empty(0, np.int64)
        """All codes that occur, ascending."""
        self.firsts = np.empty((2, 0), np.int64)
        """Time and arrival of each event before which none had happened of those that arrived no later."""
        self.settled = NEVER
        """Earliest instant that rows can be asked of."""

    def __len__(self) -> int:
        return sum(block.shape[1] for block in self.blocks.values())

    def fold(self, events: Encoded, rows: Int64 | None = None) -> None:
        """Take in events, each once, in any order.

        Parameters
        ----------
        events
            Of `Kept.encode`.
        rows
            Numbers of those that are the person's; all by default.
        """
        mine = np.arange(len(events.kinds)) if rows is None else rows
        if self.kept.first_event and len(mine):
            moments = np.stack([events.times[mine], events.arrivals[mine]])
            self.firsts = earliest(np.concatenate([self.firsts, moments], axis=1))
        mine = mine[events.kept[mine]]
        kinds = events.kinds[mine]
        for kind in sorted(set(kinds.tolist())):
            one = self.kept.kinds[kind]
            made = events.matrix(one, mine[kinds == kind])
            made = made[:, made[0] >= oldest(one, self.settled)]
            if not made.shape[1]:
                continue
            self._encode(one, made)
            # Of one layout in memory always, or the loop would be compiled anew for another one.
            made = np.ascontiguousarray(made[:, np.lexsort(made[::-1])] if made.shape[1] > 1 else made)
            self.blocks[kind] = merged(self.blocks[kind], made) if kind in self.blocks else made

    def settle(self, instant: int) -> None:
        """Forget what no row as of `instant` or later can count; rows as of earlier instants are refused then.

        Parameters
        ----------
        instant
            Epoch seconds.
        """
        self.settled = max(self.settled, int(instant))
        for kind, block in list(self.blocks.items()):
            start = int(np.searchsorted(block[0], oldest(self.kept.kinds[kind], self.settled)))
            if start == block.shape[1]:
                del self.blocks[kind]
            elif start:
                self.blocks[kind] = np.ascontiguousarray(block[:, start:])
        used = [block[row] for block, row in self._coded()]
        present = np.unique(np.concatenate(used)) if used else np.empty(0, np.int64)
        self._renumber(self.codes[present[present > 0] - 1])

    def pack(self) -> bytes:
        """Return the state as bytes: the same for the same events, whatever their order was."""
        head = _HEAD.pack(
            FORMAT, bytes.fromhex(self.kept.schema_hash[:16]), self.settled, self.firsts.shape[1], len(self.codes),
            len(self.blocks),
        )  # fmt: skip
        parts = [head, self.firsts.astype("<i8").tobytes(), self.codes.astype("<i8").tobytes()]
        for kind in sorted(self.blocks):
            block = self.blocks[kind]
            parts.append(_BLOCK.pack(kind, block.shape[1]))
            for row, low, high in zip(block, block.min(axis=1).tolist(), block.max(axis=1).tolist(), strict=True):
                width = _width(high - low)
                start = (low.bit_length() + 8) // 8 if low else 0
                parts += [bytes([start << 4 | width]), low.to_bytes(start, "little", signed=True)]
                if width:
                    parts.append((row - low).astype(_TYPES[width]).tobytes())
        return b"".join(parts)

    @classmethod
    def unpack(cls, content: bytes, kept: Kept) -> PersonState:
        """Read what `pack` gave.

        Raises
        ------
        FeatureError
            The state was made for other features, or is broken.
        """
        version, digest, settled, firsts, codes, blocks = _HEAD.unpack_from(content)
        if version != FORMAT or digest.hex() != kept.schema_hash[:16]:
            raise FeatureError(
                "a state was made for other features",
                value=digest.hex(),
                valid=[kept.schema_hash[:16]],
                next_step="rebuild the states from the log",
            )
        state = cls(kept)
        state.settled = settled
        place = _HEAD.size
        state.firsts = np.frombuffer(content, "<i8", 2 * firsts, place).astype(np.int64).reshape(2, firsts)
        place += 16 * firsts
        state.codes = np.frombuffer(content, "<i8", codes, place).astype(np.int64)
        place += 8 * codes
        for _ in range(blocks):
            kind, events = _BLOCK.unpack_from(content, place)
            place += _BLOCK.size
            block = np.empty((kept.kinds[kind].height, events), np.int64)
            for row in range(len(block)):
                start, width = content[place] >> 4, content[place] & 15
                low = int.from_bytes(content[place + 1 : place + 1 + start], "little", signed=True)
                place += 1 + start
                block[row] = low
                if width:
                    block[row] += np.frombuffer(content, _TYPES[width], events, place).astype(np.int64)
                    place += width * events
            state.blocks[kind] = block
        if place != len(content):
            raise FeatureError("a state has another length than it says", value=len(content), valid=[place])
        return state

    def _encode(self, one: KindColumns, made: Int64) -> None:
        """Put places in the list of codes into the coded rows, and into the list what is not there yet."""
        coded = made[FIXED : FIXED + len(one.coded)]
        codes = np.unique(coded)
        codes = codes[codes != 0]
        if not len(codes):
            return
        found = np.searchsorted(self.codes, codes)
        known = np.append(self.codes, 0)[found] == codes
        if not known.all():
            self._renumber(np.union1d(self.codes, codes))
        coded[:] = np.where(coded == 0, 0, np.searchsorted(self.codes, coded) + 1)

    def _renumber(self, codes: Int64) -> None:
        """Exchange the list of codes for another one that holds all that occur."""
        if len(codes) != len(self.codes):
            places = np.append(0, np.searchsorted(codes, self.codes) + 1)
            for block, row in self._coded():
                block[row] = places[block[row]]
            self.codes = codes

    def _coded(self) -> Iterator[tuple[Int64, int]]:
        for kind, block in self.blocks.items():
            for row in range(FIXED, FIXED + len(self.kept.kinds[kind].coded)):
                yield block, row


def oldest(one: KindColumns, settled: int) -> int:
    """Return from when on an event of that kind can count, once a state is settled at an instant."""
    return NEVER if one.reach is None else settled - (one.reach + _SLACK_DAYS) * DAY_SECONDS


def earliest(moments: Int64) -> Int64:
    """Return those events, by time, than which none that arrived no later was earlier."""
    ordered = moments[:, np.lexsort(moments[::-1])]
    arrivals = ordered[1]
    before = np.minimum.accumulate(arrivals)
    news = np.append(True, arrivals[1:] < before[:-1])
    return np.ascontiguousarray(ordered[:, news])


def _width(span: int) -> int:
    return next(width for width in (0, 1, 2, 4, 8) if span < 256**width)
