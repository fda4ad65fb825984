"""What is kept of a prediction: what was asked and answered, and what it takes to compute it again."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from serving.predictions.ids import made_at

Kind = Literal["tags", "conversions"]
_LENGTH: Final = struct.Struct("<I")


class Made(NamedTuple):
    """A prediction as the request that made it hands it over; nothing is computed from it yet.

    Parameters
    ----------
    id
        Its id.
    kind
        What was predicted.
    person
        Key of the person; None where nothing is known of them.
    model
        Version of the bundle.
    schema
        Hash of the layout of `features`.
    source
        Names the data that the features were computed from.
    as_of
        Instant of the features, epoch seconds.
    watermark
        What had arrived by then is in them, epoch seconds.
    filled_at
        Instant of the fill that the features go on from, epoch seconds.
    seq
        Of the last live event in the features; None where they are the fill's alone.
    asked
        What was asked for beside the person: never an account.
    answer
        The tags or candidates of the answer.
    features
        What the model read, float32.
    scores
        What the model said, float64, before anything was rounded or left out; None where the answer has all of it.
    """

    id: str
    kind: Kind
    person: str | None
    model: str
    schema: str
    source: str
    as_of: int
    watermark: int
    filled_at: int
    seq: int | None
    asked: Mapping[str, Any]
    answer: Sequence[Any]
    features: NDArray[np.float32]
    scores: NDArray[np.float64] | None

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory, about."""
        return 2_000 + self.features.nbytes + (0 if self.scores is None else self.scores.nbytes)


class Keeps(Protocol):
    """Names predictions, and may keep them."""

    def keep(self, make: Callable[[str], Made]) -> str:
        """Return the id of a new prediction; given the id, `make` returns what to keep."""


@dataclass(frozen=True)
class Origin:
    """What many predictions have in common.

    Parameters
    ----------
    kind
        What was predicted.
    model
        Version of the bundle.
    manifest
        SHA-256 of the bundle's manifest, empty where the bundle was not found.
    code
        Version of the code, see `training.code.code_version`.
    schema
        Hash of the layout of the features.
    source
        Names the data that the features were computed from: versions of the log's tables.
    share
        Of the predictions that were kept at the time.
    """

    kind: Kind
    model: str
    manifest: str
    code: str
    schema: str
    source: str
    share: float


@dataclass(frozen=True)
class Prediction:
    """A prediction as the log kept it.

    Parameters
    ----------
    id, person, as_of, watermark, filled_at, seq, asked
        As in `Made`.
    origin
        What it has in common with others.
    answer
        Tags or candidates as they were answered.
    shape
        Of the features.
    features_hash
        SHA-256 of the features' bytes, row by row.
    scores_hash
        SHA-256 of the scores' bytes; None where the answer has all of them.
    features
        The features themselves, where the log was told to keep them.
    """

    id: str
    person: str | None
    origin: Origin
    as_of: int
    watermark: int
    filled_at: int
    seq: int | None
    asked: dict[str, Any]
    answer: list[dict[str, Any]]
    shape: tuple[int, ...]
    features_hash: str
    scores_hash: str | None
    features: NDArray[np.float32] | None

    @property
    def made_at(self) -> int:
        """When it was made, epoch seconds."""
        return made_at(self.id)


def pack(made: Made) -> bytes:
    """Pack what is a prediction's own: everything but id, person, origin and features."""
    answer = [_tag(tag) for tag in made.answer] if made.kind == "tags" else made.answer
    own = {
        "as_of": made.as_of,
        "watermark": made.watermark,
        "filled_at": made.filled_at,
        "seq": made.seq,
        "asked": made.asked,
        "answer": answer,
        "shape": made.features.shape,
        "features_hash": digest(made.features),
        "scores_hash": None if made.scores is None else digest(made.scores),
    }
    return squeeze(orjson.dumps(own, default=_plain))


def unpack(prediction: str, person: str | None, origin: Origin, body: bytes, features: bytes | None) -> Prediction:
    """Put a prediction together again.

    Examples
    --------
    >>> row = np.array([1.5, np.nan], np.float32)
    >>> asked, name = {"top": 3}, "018bcfe5-68fa-7000-8000-000000000000"
    >>> made = Made(name, "tags", "p", "tags-1", "h", "v1", 7, 7, 5, 3, asked, [], row, None)
    >>> read = unpack(name, "p", Origin("tags", "tags-1", "", "c", "h", "v1", 1.0), pack(made), None)
    >>> read.asked, read.seq, read.shape, read.features_hash == digest(row), read.features
    ({'top': 3}, 3, (2,), True, None)
    """
    own = {"filled_at": 0, "seq": None} | orjson.loads(spread(body))
    shape = tuple(own.pop("shape"))
    row = None if features is None else np.frombuffer(spread(features), np.float32).reshape(shape)
    return Prediction(prediction, person, origin, shape=shape, features=row, **own)


def left_out(tags: Sequence[str]) -> dict[str, list[str]]:
    """Return what `asked` says of tags that the person has deleted; nothing where there are none."""
    return {"left_out": list(tags)} if tags else {}


def digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes, in hex."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def squeeze(raw: bytes | memoryview) -> bytes:
    """Compress bytes."""
    return _LENGTH.pack(len(raw)) + bytes(pa.compress(raw, codec="zstd", asbytes=True))


def spread(packed: bytes) -> bytes:
    """Return the bytes that `squeeze` was given."""
    (size,) = _LENGTH.unpack_from(packed)
    return bytes(pa.decompress(packed[_LENGTH.size :], size, codec="zstd", asbytes=True))


def _tag(tag: Any) -> dict[str, Any]:
    return {"id": tag.id, "probability": tag.probability, "assigned": tag.assigned}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    raise TypeError(type(value).__name__)
