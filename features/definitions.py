"""What can be measured about people, declared as data; names derive from the declarations.

An `Aggregate` says which events count, inside which window, and what is taken of them. The same declaration is
computed for a whole log in a batch, for one tag's scope, and for the outcome window of a label.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from features.errors import FeatureError
from features.events import COMMERCE_KINDS, EVENTS, INTEREST_KINDS, KINDS

Measure = Literal["count", "days", "sum", "distinct", "recency", "tenure", "decayed"]
MEASURES: Final[tuple[Measure, ...]] = ("count", "days", "sum", "distinct", "recency", "tenure", "decayed")

CONDITIONS: Final = {
    "discounted": "the shop took something off",
    "coupon": "a coupon took something off",
    "own_label": "the item is of the shop's own label",
    "paid": "a campaign is named on the event",
    "deep_read": "read for at least 5 s or at least half of it",
}
"""Named row conditions that an aggregate may ask for."""


@dataclass(frozen=True)
class Window:
    """A stretch of time relative to the instant of a spine row.

    Parameters
    ----------
    side
        ``past`` looks at events strictly before the instant, ``outcome`` at those from the instant on.
    days
        Length. A past window is whole days ending with the current, partial one; an outcome window is exactly
        ``days`` × 86,400 seconds. None means all of the past.

    Examples
    --------
    >>> str(Window("past", 30)), str(Window("past")), str(Window("outcome", 30))
    ('30d', 'all', 'next30d')
    """

    side: Literal["past", "outcome"] = "past"
    days: int | None = None

    def __post_init__(self) -> None:
        if self.side not in {"past", "outcome"}:
            raise FeatureError("unknown side of a window", value=self.side, valid=("past", "outcome"))
        if self.side == "outcome" and self.days is None:
            raise FeatureError("an outcome window needs a length in days", value=self.days)
        if self.days is not None and self.days < 1:
            raise FeatureError("a window's length is a whole number of days from 1", value=self.days)

    def __str__(self) -> str:
        if self.days is None:
            return "all"
        return f"{self.days}d" if self.side == "past" else f"next{self.days}d"


ALL_PAST: Final = Window()


def past(days: int) -> Window:
    """Return the window of the last `days` days, the current one included."""
    return Window("past", days)


def outcome(days: int) -> Window:
    """Return the window of the `days` × 86,400 seconds from the instant on."""
    return Window("outcome", days)


@dataclass(frozen=True)
class Aggregate:
    """One number taken of the events of a spine row, or of those in each scope.

    Parameters
    ----------
    kinds
        Event kinds that count.
    measure
        ``count`` of events; ``days`` with an event; ``sum`` of an integer column; ``distinct`` values of a column;
        ``recency`` and ``tenure``: seconds from the last and from the first event to the instant (null without an
        event); ``decayed``: events weighted by 2^(-age in days / half_life), in units of 2^-16 so that it stays an
        integer and every order of adding gives the same number.
    of
        Column that ``sum`` and ``distinct`` read.
    window
        Which events, by time.
    condition
        Named row condition, see `CONDITIONS`.
    half_life
        Days, for ``decayed``.

    Examples
    --------
    >>> Aggregate(("purchase",), "sum", of="amount", window=past(30)).name
    'purchase_sum_amount_30d'
    >>> Aggregate(("purchase",), "count", condition="coupon").name
    'purchase_count_coupon_all'
    """

    kinds: tuple[str, ...]
    measure: Measure = "count"
    of: str | None = None
    window: Window = ALL_PAST
    condition: str | None = None
    half_life: int | None = None
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise FeatureError("unknown event kind", value=unknown[0] if unknown else (), valid=KINDS)
        if self.measure not in MEASURES:
            raise FeatureError("unknown measure", value=self.measure, valid=MEASURES)
        if self.condition is not None and self.condition not in CONDITIONS:
            raise FeatureError("unknown condition", value=self.condition, valid=CONDITIONS)
        if (self.of is not None) != (self.measure in {"sum", "distinct"}):
            raise FeatureError(f"measure {self.measure} and column do not go together", value=self.of)
        if self.of is not None:
            column = EVENTS.column(self.of)
            if self.measure == "sum" and column.type not in {"integer", "money"}:
                raise FeatureError(
                    "only integer columns can be summed",
                    value=self.of,
                    valid=[c.name for c in EVENTS.columns if c.type in {"integer", "money"}],
                )
        if (self.half_life is not None) != (self.measure == "decayed"):
            raise FeatureError(f"measure {self.measure} and half_life do not go together", value=self.half_life)
        object.__setattr__(self, "name", self._derived_name())

    def _derived_name(self) -> str:
        parts = [kinds_name(self.kinds), self.measure]
        if self.half_life is not None:
            parts[-1] += str(self.half_life)
        parts += [part for part in (self.of, self.condition) if part]
        return "_".join([*parts, str(self.window)])


def kinds_name(kinds: tuple[str, ...]) -> str:
    """Return the short name of a set of kinds.

    Examples
    --------
    >>> kinds_name(("purchase",)), kinds_name(("like", "save"))
    ('purchase', 'like+save')
    """
    named = {INTEREST_KINDS: "interest", COMMERCE_KINDS: "commerce", KINDS: "event"}
    return named.get(kinds, "+".join(kinds))
