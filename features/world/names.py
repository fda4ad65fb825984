"""Ids as text, made by arithmetic on whole columns: accounts, events, orders."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.world.draws import Flags, Ints

_DIGITS: Final = np.frombuffer("".join(f"{n:04d}" for n in range(10_000)).encode(), np.uint32)
_PREFIXES: Final = np.frombuffer(b"xhs-dy--tb--tm--jd--pdd-", np.uint32)
# Odd and not divisible by 5: multiplying by them shuffles the numbers below 10**8.
_FACTORS: Final = np.array([48_271_913, 69_621_007, 16_807_129, 39_373_021, 74_287_763, 97_654_351])
_SHIFTS: Final = np.array([12_345_679, 55_511_177, 98_765_431, 31_415_927, 27_182_819, 66_260_701])
_NUMBERS: Final = 10**8


def numbered(prefix: bytes | npt.NDArray[np.uint32], numbers: Ints, valid: Flags | None = None) -> pa.StringArray:
    """Return texts of four letters and eight digits.

    Examples
    --------
    >>> numbered(b"note", np.array([7, 12_345_678])).to_pylist()
    ['note00000007', 'note12345678']
    """
    text = np.empty((len(numbers), 3), np.uint32)
    text[:, 0] = np.frombuffer(prefix, np.uint32)[0] if isinstance(prefix, bytes) else prefix
    high = numbers // 10_000
    text[:, 1] = _DIGITS[high]
    text[:, 2] = _DIGITS[numbers - high * 10_000]
    offsets = np.arange(0, 12 * len(numbers) + 1, 12, dtype=np.int32)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text), bits)


def prefix(letter: str, number: int) -> bytes:
    """Return a letter and a number below 46,656 in three signs.

    Examples
    --------
    >>> prefix("e", 37)
    b'e011'
    """
    signs = "0123456789abcdefghijklmnopqrstuvwxyz"
    return f"{letter}{signs[number // 1296]}{signs[number // 36 % 36]}{signs[number % 36]}".encode()


def account_text(platform: Ints, person: Ints) -> pa.StringArray:
    """Return accounts: on each platform a person has another number, so that nothing can be joined by it."""
    numbers = (np.asarray(person, np.int64) * _FACTORS[platform] + _SHIFTS[platform]) % _NUMBERS
    return numbered(_PREFIXES[platform], numbers)


def person_text(person: Ints) -> pa.StringArray:
    """Return persons as the identities table names them."""
    return numbered(b"pers", (np.asarray(person, np.int64) * 86_028_157 + 40_960_001) % _NUMBERS)
