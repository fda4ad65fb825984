"""What a rule is made of: numbers taken of events, arithmetic, comparisons, and/or/not.

Every node computes itself over all spine rows at once and writes itself back as rule text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.definitions import ALL_PAST, Aggregate, Window, outcome
from features.definitions import Measure as MeasureName
from features.events import COMMERCE_KINDS, INTEREST_KINDS

Numbers: TypeAlias = NDArray[np.float64]
Truths: TypeAlias = NDArray[np.bool_]

CATEGORY_SCOPE: Final = "category:"
"""Prefix of the name of a scope that is a single category and no vertical."""

ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
KIND_GROUPS: Final = {"interest": INTEREST_KINDS, "commerce": COMMERCE_KINDS}
COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


class Values(Protocol):
    """Where the leaves of a rule get their numbers, one per spine row."""

    def measurement(self, leaf: Measurement) -> Numbers:
        """Return the measurement of each row."""
        ...

    def quantile(self, leaf: Quantile) -> Numbers:
        """Return the population quantile that holds for each row."""
        ...


@dataclass(frozen=True)
class Number:
    """A number written in the rule."""

    value: float

    def numbers(self, values: Values) -> Numbers:  # noqa: ARG002
        """Return the number; it is the same for all rows."""
        return np.asarray(self.value, dtype=np.float64)

    def __str__(self) -> str:
        return repr(int(self.value)) if self.value == int(self.value) else repr(self.value)


@dataclass(frozen=True)
class Measurement:
    """A number taken of the events of one row inside one scope.

    Parameters
    ----------
    measure
        ``count``, ``days``, ``sum`` or ``distinct``.
    kinds
        Event kinds that count.
    of
        Column that ``sum`` and ``distinct`` read.
    condition
        Named row condition.
    past
        Window before the instant; None is the tag's outcome window.
    within
        Name of the scope; None is the tag's own.
    """

    measure: MeasureName
    kinds: tuple[str, ...]
    of: str | None = None
    condition: str | None = None
    past: Window | None = None
    within: str | None = None

    def aggregate(self, horizon_days: int) -> Aggregate:
        """Return the declaration that the feature engine computes."""
        window = self.past or outcome(horizon_days)
        return Aggregate(self.kinds, self.measure, of=self.of, window=window, condition=self.condition)

    def numbers(self, values: Values) -> Numbers:
        """Return the measurement of each row."""
        return values.measurement(self)

    def __str__(self) -> str:
        parts = [kinds_text(self.kinds)]
        if self.of:
            parts.append(self.of)
        if self.condition:
            parts.append(f'where="{self.condition}"')
        if self.past:
            parts.append(f"past={'all' if self.past == ALL_PAST else self.past.days}")
        if self.within and self.within.startswith(CATEGORY_SCOPE):
            category = self.within.removeprefix(CATEGORY_SCOPE).replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'category="{category}"')
        elif self.within:
            parts.append(f'within="{self.within}"')
        return f"{self.measure}({', '.join(parts)})"


@dataclass(frozen=True)
class Arithmetic:
    """Two numbers added, subtracted, multiplied or divided; a division by zero is unknown (NaN)."""

    sign: str
    left: Numeric
    right: Numeric

    def numbers(self, values: Values) -> Numbers:
        """Return the result for each row."""
        left, right = self.left.numbers(values), self.right.numbers(values)
        if self.sign == "/":
            right = np.where(right == 0, np.nan, right)
        return np.asarray(ARITHMETIC[self.sign](left, right), dtype=np.float64)

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True)
class Quantile:
    """The quantile of a past number among the people in whom it is positive, as of the row's instant."""

    of: Numeric
    share: float

    def numbers(self, values: Values) -> Numbers:
        """Return the quantile that holds for each row."""
        return values.quantile(self)

    def __str__(self) -> str:
        return f"quantile({self.of}, {self.share!r})"


@dataclass(frozen=True)
class Comparison:
    """Two numbers compared; false where one is unknown."""

    sign: str
    left: Numeric
    right: Numeric

    def truths(self, values: Values) -> Truths:
        """Return whether it holds, for each row."""
        left, right = self.left.numbers(values), self.right.numbers(values)
        known = ~(np.isnan(left) | np.isnan(right))
        return np.asarray(COMPARISONS[self.sign](left, right) & known, dtype=np.bool_)

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


@dataclass(frozen=True)
class Junction:
    """Several conditions of which all (``and``) or at least one (``or``) must hold."""

    word: Literal["and", "or"]
    parts: tuple[Truth, ...]

    def truths(self, values: Values) -> Truths:
        """Return whether it holds, for each row."""
        join = np.logical_and if self.word == "and" else np.logical_or
        result = self.parts[0].truths(values)
        for part in self.parts[1:]:
            result = join(result, part.truths(values))
        return result

    def __str__(self) -> str:
        return "(" + f" {self.word} ".join(str(part) for part in self.parts) + ")"


@dataclass(frozen=True)
class Negation:
    """The opposite of a condition."""

    part: Truth

    def truths(self, values: Values) -> Truths:
        """Return whether it holds, for each row."""
        return ~self.part.truths(values)

    def __str__(self) -> str:
        return f"not ({self.part})"


Numeric: TypeAlias = Number | Measurement | Arithmetic | Quantile
Truth: TypeAlias = Comparison | Junction | Negation
Node: TypeAlias = Numeric | Truth


def kinds_text(kinds: tuple[str, ...]) -> str:
    """Return event kinds as a rule names them.

    Examples
    --------
    >>> kinds_text(("like", "save")), kinds_text(COMMERCE_KINDS)
    ('like | save', 'commerce')
    """
    left, names = list(kinds), []
    for name, group in KIND_GROUPS.items():
        if set(group) <= set(left):
            names.append(name)
            left = [kind for kind in left if kind not in group]
    return " | ".join([*names, *left])


def children(node: Node) -> tuple[Node, ...]:
    """Return the parts of a node, left to right."""
    match node:
        case Arithmetic(_, left, right) | Comparison(_, left, right):
            return left, right
        case Quantile(of=inner):
            return (inner,)
        case Junction(parts=parts):
            return parts
        case Negation(part=part):
            return (part,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything inside it."""
    yield node
    for child in children(node):
        yield from walk(child)
