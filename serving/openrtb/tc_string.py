"""What a person consented to, as a TC string of the IAB's Transparency & Consent Framework, version 2, says it.

Source of the layout: "Consent string and vendor list formats v2", core segment.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 8192
_VERSION: Final = 2
_BEFORE_PURPOSES: Final = 146
"""Bits between the version and the purposes that were consented to."""

_PURPOSES: Final = 24
_AFTER_PURPOSES: Final = 37
"""Bits of legitimate interest, one treatment and country."""

_NOT_ALLOWED, _NOT_BY_CONSENT = 0, 2


@dataclass(frozen=True)
class Consent:
    """What a TC string allows.

    Parameters
    ----------
    purposes
        Numbers of the purposes that were consented to.
    vendors
        Ranges of numbers of the vendors that were.
    restricted
        (purpose, ranges of vendors) that the publisher does not allow by consent, whatever the person said.
    """

    purposes: frozenset[int]
    vendors: tuple[range, ...]
    restricted: tuple[tuple[int, tuple[range, ...]], ...]

    def allows(self, purposes: frozenset[int], vendor: int | None) -> bool:
        """Whether all purposes are consented to; where the vendor is known, by it."""
        if vendor is None or not purposes <= self.purposes:
            return purposes <= self.purposes
        forbidden = any(_among(vendor, vendors) for purpose, vendors in self.restricted if purpose in purposes)
        return _among(vendor, self.vendors) and not forbidden


def read_tc_string(text: str) -> Consent | None:
    """Read a TC string; None where it is none of version 2.

    Examples
    --------
    >>> consent = read_tc_string("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA")
    >>> sorted(consent.purposes), [vendor for several in consent.vendors for vendor in several]
    ([1, 2, 3], [2, 6, 8])
    >>> read_tc_string("1YNN") is None
    True
    """
    core = text.partition(".")[0]
    if len(core) > _LONGEST:
        return None
    try:
        bits = _Bits(base64.b64decode(core + "=" * (-len(core) % 4), altchars=b"-_", validate=True))
        if bits.take(6) != _VERSION:
            return None
        bits.take(_BEFORE_PURPOSES)
        purposes = frozenset(number for one in bits.numbers(_PURPOSES) for number in one)
        bits.take(_AFTER_PURPOSES)
        vendors = _vendors(bits)
        _vendors(bits)  # those of legitimate interest
        return Consent(purposes, vendors, _restrictions(bits))
    except (binascii.Error, ValueError, EOFError):
        return None


class _Bits:
    """Whole numbers out of a row of bits, first bit first."""

    def __init__(self, content: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in content)
        self._place = 0

    def take(self, count: int) -> int:
        taken = self._bits[self._place : self._place + count]
        if len(taken) < count:
            raise EOFError
        self._place += count
        return int(taken, 2) if taken else 0

    def numbers(self, count: int) -> tuple[range, ...]:
        """Return which of the next bits are set, counted from 1."""
        taken = self._bits[self._place : self._place + count]
        self.take(count)
        return tuple(range(number, number + 1) for number, bit in enumerate(taken, 1) if bit == "1")

    def ranges(self) -> tuple[range, ...]:
        """Return the list of ranges that follows."""
        found = []
        for _ in range(self.take(12)):
            several, first = self.take(1), self.take(16)
            found.append(range(first, (self.take(16) if several else first) + 1))
        return tuple(found)


def _among(vendor: int, ranges: tuple[range, ...]) -> bool:
    return any(vendor in several for several in ranges)


def _vendors(bits: _Bits) -> tuple[range, ...]:
    largest, as_ranges = bits.take(16), bits.take(1)
    return bits.ranges() if as_ranges else bits.numbers(largest)


def _restrictions(bits: _Bits) -> tuple[tuple[int, tuple[range, ...]], ...]:
    every = [(bits.take(6), bits.take(2), bits.ranges()) for _ in range(bits.take(12))]
    return tuple((purpose, vendors) for purpose, kind, vendors in every if kind in {_NOT_ALLOWED, _NOT_BY_CONSENT})
