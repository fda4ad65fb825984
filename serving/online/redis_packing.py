"""Values of the online store in Redis: little-endian bytes, the same on every machine."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.online.store import StoredState

_AS_OF: Final = struct.Struct("<q")
_SEQ_ARRIVED: Final = struct.Struct("<qq")
_FLOAT: Final = np.dtype("<f4")


def packed_row(as_of: int, vector: NDArray[np.float32]) -> bytes:
    """Return an instant and a vector as bytes: int64, then float32 each.

    Examples
    --------
    >>> as_of, vector = unpacked_row(packed_row(1509494400, np.array([1, np.nan], np.float32)))
    >>> as_of, vector.tolist()
    (1509494400, [1.0, nan])
    """
    return _AS_OF.pack(as_of) + vector.astype(_FLOAT, copy=False).tobytes()


def unpacked_row(packed: bytes) -> tuple[int, NDArray[np.float32]]:
    """Return the instant and the vector of `packed_row`; the vector is read-only."""
    vector = np.frombuffer(packed, _FLOAT, offset=_AS_OF.size).astype(np.float32, copy=False)
    return _AS_OF.unpack_from(packed)[0], vector


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
