"""What an import reads."""

from __future__ import annotations

from dataclasses import dataclass

from features.sources.mapping import Mapping
from features.sources.reader import Reader


@dataclass(frozen=True)
class Input:
    """One file and how to read it."""

    reader: Reader
    mapping: Mapping
