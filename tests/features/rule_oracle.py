"""Reads rules literally: Python's own grammar over numbers that know how a rule divides and compares."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from features.events import COMMERCE_KINDS, INTEREST_KINDS, KINDS
from tests.features.logs import DAY, Event, day_of, holds

MEASURES = (
    "count(purchase{})", "count(like | save | click{})", "count(interest{})", "days(purchase{})",
    "sum(purchase, amount{})", "sum(purchase, quantity{})", "distinct(purchase, item{})", "distinct(cart, brand{})",
    'count(purchase, where="discounted"{})', 'count(purchase, where="own_label"{})', "days(commerce{})",
    'count(read, where="deep_read"{})',
)  # fmt: skip
LITERAL = re.compile(r"(?<![=\w.])(\d+(?:\.\d+)?)")
PLACES = ("", ', within="all"', ', within="home"', ', category="milk"')


class Known(float):
    """A number of a rule: a division by zero is unknown, an unknown number compares as false."""

    def __add__(self, other: float) -> Known:
        return Known(float(self) + float(other))

    def __sub__(self, other: float) -> Known:
        return Known(float(self) - float(other))

    def __mul__(self, other: float) -> Known:
        return Known(float(self) * float(other))

    def __truediv__(self, other: float) -> Known:
        return Known(math.nan if other == 0 else float(self) / float(other))

    def __radd__(self, other: float) -> Known:
        return Known(other) + self

    def __rsub__(self, other: float) -> Known:
        return Known(other) - self

    def __rmul__(self, other: float) -> Known:
        return Known(other) * self

    def __rtruediv__(self, other: float) -> Known:
        return Known(other) / self

    def __ne__(self, other: object) -> bool:
        return not math.isnan(self) and not math.isnan(other) and float(self) != other  # type: ignore[arg-type]

    def __neg__(self) -> Known:
        return Known(-float(self))

    __hash__ = float.__hash__


class Reading:
    """One rule of one tag over a whole log, person by person."""

    def __init__(
        self, log: list[Event], people: dict[str, list[str]], own: str, scopes: dict[str, list[str]], horizon: int
    ) -> None:
        self.log, self.people, self.own, self.scopes, self.horizon = log, people, own, scopes, horizon

    def holds(self, text: str, person: str, instant: int, known_at: int, judged_at: tuple[int, int]) -> bool:
        """Whether the rule holds; `judged_at` is the (instant, known_at) of its quantiles."""

        def quantile(inner: Callable[[], float], share: float) -> Known:
            now = self.at
            values = []
            for other in self.people:
                self.at = (other, *judged_at)
                value = float(inner())
                if value > 0:
                    values.append(value)
            self.at = now
            enough = [v for v in sorted(values) if sum(w <= v for w in values) >= share * len(values)]
            return Known(enough[0] if enough else math.nan)

        self.at = (person, instant, known_at)
        names: dict[str, Any] = {kind: frozenset([kind]) for kind in KINDS}
        names |= {"interest": frozenset(INTEREST_KINDS), "commerce": frozenset(COMMERCE_KINDS)}
        names |= {c: c for c in ("amount", "quantity", "item", "brand")} | {"all": "all"}
        names |= {m: self._measure(m) for m in ("count", "days", "sum", "distinct")}
        names |= {"quantile": quantile, "share": lambda part, whole: Known(part) / whole, "number": Known}
        literal = LITERAL.sub(r"number(\1)", text).replace("quantile(", "quantile(lambda: ")
        return bool(eval(literal, {"__builtins__": {}} | names))  # noqa: S307

    def _measure(self, measure: str) -> Callable[..., Known]:
        def taken(
            kinds: frozenset[str], of: str = "", *, past: Any = None, where: str | None = None, **place: str
        ) -> Known:
            person, instant, known_at = self.at
            inside = [place["category"]] if "category" in place else self.scopes[place.get("within", self.own)]
            rows = [
                row
                for row in self.log
                if row["account"] in self.people[person]
                and row["kind"] in kinds
                and row["arrived_at"] <= known_at
                and (inside == ["*"] or row["category"] in inside)
                and holds(where, row)
                and self._in_window(row, instant, past)
            ]
            values = [row[of] for row in rows if of and row[of] is not None]
            taken = {"count": len(rows), "days": len({row["day"] for row in rows}),
                     "sum": sum(v for v in values if isinstance(v, int)), "distinct": len(set(values))}  # fmt: skip
            return Known(taken[measure])

        return taken

    def _in_window(self, row: Event, instant: int, past: Any) -> bool:
        if past is None:
            return bool(instant <= row["event_time"] < instant + self.horizon * DAY)
        return bool(row["event_time"] < instant and (past == "all" or row["day"] > day_of(instant) - past))


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """Rules of every form of the language."""

    def measure(pasts: tuple[str, ...]) -> str:
        options = draw(st.sampled_from(pasts)) + draw(st.sampled_from(PLACES))
        return draw(st.sampled_from(MEASURES)).format(options)

    def number(depth: int) -> str:
        form = draw(st.integers(0, 5 if depth else 1))
        if form == 0:
            return draw(st.sampled_from(("0", "1", "2", "0.5", "-1")))
        if form in {1, 2}:
            return measure(("", "", ", past=7", ", past=all"))
        if form == 3:
            return f"share({number(depth - 1)}, {number(depth - 1)})"
        if form == 4:
            inner = measure((", past=7", ", past=all"))
            whole = draw(st.sampled_from((inner, f"share({inner}, {measure((', past=30',))})")))
            return f"quantile({whole}, {draw(st.sampled_from(('0.25', '0.5', '0.8')))})"
        return f"({number(depth - 1)} {draw(st.sampled_from('+-*/'))} {number(depth - 1)})"

    def truth(depth: int) -> str:
        form = draw(st.integers(0, 3 if depth else 0))
        if form == 0:
            sign = draw(st.sampled_from((">=", ">", "<=", "<", "==", "!=")))
            return f"{number(2)} {sign} {number(2)}"
        if form == 1:
            return f"not ({truth(depth - 1)})"
        return f"({truth(depth - 1)} {draw(st.sampled_from(('and', 'or')))} {truth(depth - 1)})"

    return (
        f"{truth(2)} {draw(st.sampled_from(('and', 'or')))} count(purchase) {draw(st.sampled_from(('>=', '<')))} 1"
    )
