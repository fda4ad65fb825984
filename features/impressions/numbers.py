"""Impressions of one person at one instant as numbers: what a note is asked about is looked up, not parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from features.asof import Int64

Float64 = npt.NDArray[np.float64]
CODES: Final = ("note", "note_platform", "creator", "topic", "campaign", "brand", "category", "item")
KEY_SEPARATOR: Final = "\x1f"
"""Between the note and the platform in the text that ``note_platform`` is the code of."""
NUMBERS: Final = ("position", "paid", "video", "platform", "published_at", "price")


@dataclass(frozen=True)
class ImpressionNumbers:
    """n impressions that might happen, all at once.

    Parameters
    ----------
    time
        Epoch seconds.
    day
        Its day in the time zone.
    timezone
        The log's.
    codes
        By the names of ``CODES``, int64 [n] of `features.people.acts.code_of`, 0 for none.
    numbers
        By the names of ``NUMBERS``, float64 [n], NaN for none; ``platform`` is the place among the known ones.
    """

    time: int
    day: int
    timezone: str
    codes: Mapping[str, Int64]
    numbers: Mapping[str, Float64]

    def __len__(self) -> int:
        return len(self.codes["note"])
