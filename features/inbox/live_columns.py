"""How each column of a live event is read: whole columns at once where all is well, value by value where not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from features.events import EARLIEST_TIME, EVENTS, KINDS, Column
from features.sources.mapping import minor_digits

SKEW_SECONDS: Final = 300
"""How far the clock of a sender may be ahead of ours."""

TEXT_LENGTH: Final = 512
LARGEST_INTEGER: Final = 9_000_000_000_000_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TEXT: Final = f"no text of 1 to {TEXT_LENGTH} characters, none of them a control character"
_TIME: Final = (
    f"no time from 1990 until now, or at most {SKEW_SECONDS // 60} minutes ahead; valid: seconds since 1970, "
    "or ISO 8601 with its offset, such as 2026-05-01T08:30:00+08:00"
)
_NUMBERS: Final = {int, float}


class Wrong(Exception):  # noqa: N818
    """A value is not valid; says what would have been."""


@dataclass(frozen=True)
class LiveColumn:
    """One column that a sender may fill.

    Parameters
    ----------
    column
        The canonical column.
    clean
        Whether every value, none of them None, can be taken as it is.
    one
        A single value as it is stored.

    Raises
    ------
    Wrong
        From `one`: the value is not valid.
    """

    column: Column
    clean: Callable[[Sequence[Any]], bool]
    one: Callable[[Any], Any]

    def read(self, values: Sequence[Any], problems: Callable[[int, str, Any], None]) -> Sequence[Any]:
        """Return the values as they are stored; those that are not valid are None, and told to `problems`.

        Parameters
        ----------
        values
            As they were sent; None where nothing was.
        problems
            Takes position, problem and value.
        """
        if self.clean(values):
            return values
        if not self.column.required and self.clean([value for value in values if value is not None]):
            return values
        return [self._one(place, value, problems) for place, value in enumerate(values)]

    def _one(self, place: int, value: Any, problems: Callable[[int, str, Any], None]) -> Any:
        try:
            read = None if value is None or value == "" else self.one(value)
        except Wrong as wrong:
            problems(place, str(wrong), value)
            return None
        if read is None and self.column.required:
            problems(place, "missing", None)
        return read


def live_columns(currency: str, now: Callable[[], int]) -> dict[str, LiveColumn]:
    """Return how each column is read that a sender may fill.

    Parameters
    ----------
    currency
        The log's.
    now
        The clock, epoch seconds.
    """
    readers = {}
    for column in EVENTS.columns:
        if column.made or column.name == "arrived_at":
            continue
        if column.name == "kind":
            readers[column.name] = LiveColumn(column, _among(KINDS), _kind)
        elif column.name == "currency":
            readers[column.name] = LiveColumn(column, _among([currency]), lambda value: _currency(value, currency))
        elif column.type == "time":
            readers[column.name] = _time(column, now)
        elif column.type == "money":
            readers[column.name] = LiveColumn(column, _whole(column), lambda value: _money(value, currency))
        elif column.type == "integer":
            readers[column.name] = _integer(column)
        elif column.type == "number":
            readers[column.name] = _number(column)
        elif column.type == "flag":
            readers[column.name] = LiveColumn(column, lambda values: set(map(type, values)) <= {bool}, _flag)
        else:
            readers[column.name] = LiveColumn(column, _clean_texts, _text)
    return readers


def _clean_texts(values: Sequence[Any]) -> bool:
    if not values:
        return True
    if set(map(type, values)) != {str} or "" in values or max(map(len, values)) > TEXT_LENGTH:
        return False
    joined = "".join(values)
    if not joined.isprintable() and _CONTROL.search(joined):
        return False
    return " " not in joined or list(map(str.strip, values)) == list(values)


def _among(valid: Sequence[str]) -> Callable[[Sequence[Any]], bool]:
    known = frozenset(valid)
    return lambda values: set(map(type, values)) <= {str} and set(values) <= known


def _text(value: Any) -> str | None:
    if type(value) is not str:
        raise Wrong(f"{_TEXT}; write ids in quotes")
    stripped = value.strip(" \t\r")
    if len(stripped) > TEXT_LENGTH or _CONTROL.search(stripped):
        raise Wrong(_TEXT)
    return stripped or None


def _kind(value: Any) -> str:
    if type(value) is not str or value not in KINDS:
        raise Wrong(f"no event kind; valid: {', '.join(KINDS)}")
    return value


def _currency(value: Any, currency: str) -> str:
    if value != currency:
        raise Wrong(f"another currency than the log's; valid: {currency}")
    return currency


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise Wrong("neither true nor false")
    return value


def _whole(column: Column) -> Callable[[Sequence[Any]], bool]:
    low = int(column.low or 0)

    def clean(values: Sequence[Any]) -> bool:
        return not values or (
            set(map(type, values)) == {int} and low <= min(values) and max(values) <= LARGEST_INTEGER
        )

    return clean


def _integer(column: Column) -> LiveColumn:
    clean = _whole(column)

    def one(value: Any) -> int:
        if not clean([value]):
            raise Wrong(f"no whole number of {column.low or 0:g} or more")
        return int(value)

    return LiveColumn(column, clean, one)


def _number(column: Column) -> LiveColumn:
    low, high = column.low or 0.0, column.high or 0.0

    def one(value: Any) -> float:
        if type(value) not in _NUMBERS or not low <= value <= high:
            raise Wrong(f"no number from {low:g} to {high:g}")
        # Adding nothing makes 0 of -0, which other writers of numbers would tell apart.
        return float(value) + 0.0

    def clean(values: Sequence[Any]) -> bool:
        return not values or (set(map(type, values)) == {float} and low < min(values) and max(values) <= high)

    return LiveColumn(column, clean, one)


def _money(value: Any, currency: str) -> int:
    digits = minor_digits(currency)
    problem = Wrong(
        f"no amount of {currency}; valid: whole minor units such as 1299, or a text with at most {digits} decimals "
        f'such as "{Decimal(1299).scaleb(-digits)}"'
    )
    if type(value) is int:
        minor = Decimal(value)
    elif type(value) is str and re.fullmatch(r"\d{1,16}(\.\d{1,16})?", value):
        try:
            minor = Decimal(value).scaleb(digits)
        except InvalidOperation as error:
            raise problem from error
    else:
        raise problem
    if minor != int(minor) or not 0 <= minor <= LARGEST_INTEGER:
        raise problem
    return int(minor)


def _time(column: Column, now: Callable[[], int]) -> LiveColumn:
    def clean(values: Sequence[Any]) -> bool:
        latest = now() + SKEW_SECONDS
        return not values or (
            set(map(type, values)) == {int} and min(values) >= EARLIEST_TIME and max(values) <= latest
        )

    def one(value: Any) -> int:
        seconds = _seconds(value)
        if seconds is None or not EARLIEST_TIME <= seconds <= now() + SKEW_SECONDS:
            raise Wrong(_TIME)
        return seconds

    return LiveColumn(column, clean, one)


def _seconds(value: Any) -> int | None:
    if type(value) in _NUMBERS:
        return int(value // 1) if abs(value) < LARGEST_INTEGER else None
    if type(value) is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return None if moment.tzinfo is None else int(moment.timestamp() // 1)
    except (ValueError, OverflowError):
        return None
