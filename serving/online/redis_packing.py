"""Values of the online store in Redis: little-endian bytes, the same on every machine."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.online.store import StoredState

_ROW: Final = struct.Struct("<qqq")
_SEQ_ARRIVED: Final = struct.Struct("<qq")
_NONE: Final = -1
_FLOAT: Final = np.dtype("<f4")


def packed_row(as_of: int, seq: int | None, arrived_at: int, vector: NDArray[np.float32]) -> bytes:
    """Return a row as bytes: instant, last live event and its arrival, int64 each, then float32 each.

    Examples
    --------
    >>> *marks, vector = unpacked_row(packed_row(1509494400, None, 1509494399, np.array([1, np.nan], np.float32)))
    >>> marks, vector.tolist()
    ([1509494400, None, 1509494399], [1.0, nan])
    """
    marks = _ROW.pack(as_of, _NONE if seq is None else seq, arrived_at)
    return marks + vector.astype(_FLOAT, copy=False).tobytes()


def unpacked_row(packed: bytes) -> tuple[int, int | None, int, NDArray[np.float32]]:
    """Return what `packed_row` was given; the vector is read-only."""
    as_of, seq, arrived_at = _ROW.unpack_from(packed)
    vector = np.frombuffer(packed, _FLOAT, offset=_ROW.size).astype(np.float32, copy=False)
    return as_of, None if seq == _NONE else seq, arrived_at, vector


def packed_state(state: StoredState) -> bytes:
    """Return a state as bytes: its last event and that one's arrival, int64 each, then what it holds.

    Examples
    --------
    >>> unpacked_state(packed_state(StoredState(b"held", 7, 1509494400)))
    StoredState(content=b'held', seq=7, arrived_at=1509494400)
    """
    return _SEQ_ARRIVED.pack(state.seq, state.arrived_at) + state.content


def unpacked_state(packed: bytes) -> StoredState:
    """Return the state of `packed_state`."""
    return StoredState(packed[_SEQ_ARRIVED.size :], *_SEQ_ARRIVED.unpack_from(packed))
