"""Ids of predictions: they tell their time, nobody can guess them, and each says whether it is in a sample."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, date, datetime
from typing import Final

from features.errors import PredictionLogError

_RANDOM_BYTES: Final = 10
_VERSION_7: Final = (0xF << 76, 0x7 << 76)
_VARIANT: Final = (0x3 << 62, 0x2 << 62)
_KEPT: Final = ~(_VERSION_7[0] | _VARIANT[0])
_SET: Final = _VERSION_7[1] | _VARIANT[1]
_LOT_DIGITS: Final = 8
_LOTS: Final = 16**_LOT_DIGITS


def new_id(now: float | None = None) -> str:
    """Return the id of a prediction that is made now: a UUID of version 7 (RFC 9562).

    Parameters
    ----------
    now
        Epoch seconds; the clock's by default.

    Examples
    --------
    >>> made_at(new_id(1_700_000_000.25)), new_id(1_700_000_000.25)[:15]
    (1700000000, '018bcfe5-68fa-7')
    """
    milliseconds = time.time_ns() // 1_000_000 if now is None else int(now * 1000)
    drawn = int.from_bytes(os.urandom(_RANDOM_BYTES), "big") & _KEPT | _SET
    text = f"{milliseconds << 80 | drawn:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_sampled(prediction: str, share: float) -> bool:
    """Tell whether a prediction belongs to a sample.

    It follows from the id alone, and what is in a sample is in every larger one.

    Parameters
    ----------
    prediction
        Its id.
    share
        Of all predictions, 0 to 1.

    Examples
    --------
    >>> low, high = "018bcfe5-68fa-7000-8000-000003ffffff", "018bcfe5-68fa-7000-8000-0000ffffffff"
    >>> [is_sampled(low, 0.1), is_sampled(high, 0.1), is_sampled(high, 1.0), is_sampled(low, 0.0)]
    [True, False, True, False]
    """
    return int(prediction[-_LOT_DIGITS:], 16) < share * _LOTS


def made_at(prediction: str) -> int:
    """Return when a prediction was made, epoch seconds.

    Raises
    ------
    PredictionLogError
        The text is no prediction's id.
    """
    return (packed(prediction)[1] >> 80) // 1000


def day_made(prediction: str) -> date:
    """Return the day on which a prediction was made, in UTC; raises as `made_at`."""
    return datetime.fromtimestamp(made_at(prediction), UTC).date()


def packed(prediction: str) -> tuple[bytes, int]:
    """Return an id as 16 bytes and as a number; raises as `made_at`."""
    try:
        parsed = uuid.UUID(prediction)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != 7 or str(parsed) != prediction:
        raise PredictionLogError(
            "this is no prediction's id",
            value=prediction,
            next_step="give the `prediction_id` of an answer, or see `zhongcao predictions list`",
        )
    return parsed.bytes, parsed.int


def unpacked(name: bytes) -> str:
    """Return the id that 16 bytes stand for.

    Examples
    --------
    >>> unpacked(packed(name := new_id())[0]) == name
    True
    """
    return str(uuid.UUID(bytes=name))
