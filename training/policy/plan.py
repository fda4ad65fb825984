"""A delivery plan: which audience sees which note on which platform how often, for the most that money causes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.optimize import linprog

from features.errors import OverlapError, TrainingError
from training.quality.metrics import Floats

_ROUNDS: Final = 25
_MOST_FACTOR: Final = 3.0


@dataclass(frozen=True)
class Market:
    """What there is to buy in the days of the plan, by audience, note and platform.

    Parameters
    ----------
    value
        What a first impression is expected to cause, at least 0 [audiences, notes, platforms].
    response
        How much of that a first, second, … impression of the same note causes, falling from 1 [repeats]; as long as
        the frequency cap.
    hides
        Hides per impression [audiences, repeats].
    usual_hides
        Hides per impression that people bore so far.
    cost
        Of an impression, above 0 [platforms].
    people
        How many have room for so many impressions of the campaign [audiences, platforms, repeats].
    slots
        All ad slots [audiences, platforms].
    most_of_slots
        Share of these that the campaign may take.
    """

    value: Floats
    response: Floats
    hides: Floats
    usual_hides: float
    cost: Floats
    people: Floats
    slots: Floats
    most_of_slots: float = 0.5


@dataclass(frozen=True)
class Plan:
    """How to spend.

    Parameters
    ----------
    impressions
        Whole impressions by audience, note, platform and repeat, exploration aside [audiences, notes, platforms,
        repeats].
    explored
        Impressions that are bought evenly, whatever is believed [audiences, notes, platforms].
    value, cost, hides
        Expected of both together.
    bound
        No plan of that budget that keeps to the same rules can be expected to cause more.
    money_price, tolerance_price
        What one more unit of money would cause, and one more hide that people bear.
    """

    market: Market
    impressions: Floats
    explored: Floats
    value: float
    cost: float
    hides: float
    bound: float
    money_price: float
    tolerance_price: float

    @property
    def gap(self) -> float:
        """Share of the bound that is missed."""
        return 1 - self.value / self.bound if self.bound > 0 else 0.0

    @property
    def total(self) -> Floats:
        """Impressions [audiences, notes, platforms]."""
        return np.asarray(self.impressions.sum(axis=3) + self.explored)

    @property
    def share(self) -> Floats:
        """Chance that a slot of the audience on the platform shows the note: the propensity to be logged."""
        slots = self.market.slots[:, None, :]
        return np.divide(self.total, slots, out=np.zeros_like(self.total), where=slots > 0)

    @property
    def cap(self) -> NDArray[np.int64]:
        """Most impressions of a note per person [audiences, notes, platforms]; 1 where it is only explored."""
        bought = (self.impressions > 0).sum(axis=3)
        return np.where(self.total > 0, np.maximum(bought, 1), 0)

    @property
    def bid_factor(self) -> Floats:
        """How many times the usual price a first impression is worth at the price of money, 1 to 3."""
        worth = self.market.value / self.market.cost
        if self.money_price <= 0:
            return np.full(worth.shape, _MOST_FACTOR)
        return np.asarray(np.clip(worth / self.money_price, 1.0, _MOST_FACTOR))


def make_plan(market: Market, budget: float, *, explore: float = 0.1, fewest: int = 50) -> Plan:
    """Spend a budget for the most expected value.

    Parameters
    ----------
    market
        What can be bought.
    budget
        In the unit of the market's costs.
    explore
        Share of the budget that buys slots of all audiences and notes alike.
    fewest
        People that an audience must reach with a note on a platform; smaller buys are left out.

    Raises
    ------
    TrainingError
        The budget does not pay for the fewest people, or the share is none.
    OverlapError
        The campaign may take no slot.

    Notes
    -----
    A linear program over impressions by audience, note, platform and repeat, solved by HiGHS: money, slots, people
    and tolerance (no more hides per impression than people bore so far) are its constraints. Since later repeats
    are worth less and are hidden more, they are bought after earlier ones, so no whole numbers are needed for that.
    The bound is the dual's value: prices of the constraints at which no plan does better. What is lost against it
    by rounding down and by leaving out small buys is the `gap`.
    """
    if not 0 <= explore < 1:
        raise TrainingError("a share of exploration lies from 0 to below 1", value=explore)
    least = fewest * float(market.cost.min())
    if budget < least:
        raise TrainingError(
            f"the budget does not pay for one impression each of {fewest} people", value=budget, valid=[least]
        )
    open_slots = market.slots * market.most_of_slots
    if open_slots.sum() <= 0:
        raise OverlapError("the audiences have no ad slot that the campaign may take", value=0)
    explored = broad_impressions(market, explore * budget)
    spent = float((explored.sum(axis=1) @ market.cost).sum())
    shape = (*market.value.shape, len(market.response))
    program = _Program.of(market, budget - spent, open_slots - explored.sum(axis=1))
    barred = np.zeros(shape[:3], bool)
    found = first = program.solve(barred)
    for _ in range(_ROUNDS):
        reached = found.x.reshape(shape)[..., 0]
        small = (reached > 0) & (reached < fewest)
        if not small.any():
            break
        barred |= small
        found = program.solve(barred)
    else:
        found = replace(found, x=np.where(np.repeat(small.ravel(), shape[3]), 0.0, found.x))
    x = np.floor(found.x.reshape(shape) + 1e-6)
    plan = Plan(market, x, explored, 0.0, 0.0, 0.0, 0.0, first.money, first.tolerance)
    value = float((x * program.value.reshape(shape)).sum() + (explored * market.value).sum())
    hides = float(
        (x.sum(axis=(1, 2)) * market.hides).sum() + (explored.sum(axis=(1, 2)) * market.hides[:, 0]).sum()
    )
    bound = first.bound + float((explored * market.value).sum())
    cost = float(plan.total.sum(axis=(0, 1)) @ market.cost)
    return replace(plan, value=value, cost=cost, hides=hides, bound=bound)


def broad_value(market: Market, budget: float) -> float:
    """Return what a budget is expected to cause that buys slots of all audiences and notes alike."""
    return float((by_chance(market, broad_impressions(market, budget)) * market.value).sum())


def by_chance(market: Market, impressions: Floats) -> Floats:
    """Return how many first impressions are worth as much as those that fall on people by chance.

    How often a person sees a note that falls by chance is Poisson.
    """
    people = np.maximum(market.people[:, None, :, 0], 1.0)
    each = impressions / people
    reached = stats.poisson.sf(np.arange(len(market.response)), each[..., None])
    beyond = np.maximum(each - reached.sum(axis=-1), 0.0)
    return np.asarray(people * (reached @ market.response + beyond * market.response[-1]))


def broad_impressions(market: Market, budget: float) -> Floats:
    """Return impressions that are bought of all open slots alike, and of all notes."""
    slots = market.slots * market.most_of_slots
    price = float(slots.sum(axis=0) @ market.cost)
    share = min(budget / price, 1.0)
    notes = market.value.shape[1]
    return np.repeat(slots[:, None, :] * share / notes, notes, axis=1)


@dataclass(frozen=True)
class _Solved:
    x: Floats
    bound: float
    money: float
    tolerance: float


@dataclass(frozen=True)
class _Program:
    """The linear program: variables by audience, note, platform and repeat, in the order of C."""

    value: Floats
    rows: sparse.csr_matrix
    limits: Floats
    upper: Floats

    @classmethod
    def of(cls, market: Market, budget: float, slots: Floats) -> _Program:
        audiences, notes, platforms = market.value.shape
        repeats = len(market.response)
        shape = (audiences, notes, platforms, repeats)
        value = np.broadcast_to(market.value[..., None] * market.response, shape).ravel()
        cost = np.broadcast_to(market.cost[None, None, :, None], shape).ravel()
        worse = np.broadcast_to((market.hides - market.usual_hides)[:, None, None, :], shape).ravel()
        upper = np.broadcast_to(market.people[:, None, :, :], shape).ravel()
        audience, _, platform, _ = np.indices(shape).reshape(4, -1)
        columns = np.arange(value.size)
        by_slot = sparse.csr_matrix((np.ones(value.size), (audience * platforms + platform, columns)))
        rows = sparse.vstack([cost[None, :], worse[None, :], by_slot]).tocsr()
        limits = np.concatenate([[budget, 0.0], np.maximum(slots, 0.0).ravel()])
        return cls(value, rows, limits, upper)

    def solve(self, barred: NDArray[np.bool_]) -> _Solved:
        upper = np.where(np.repeat(barred.ravel(), self.upper.size // barred.size), 0.0, self.upper)
        # Values are tiny beside costs: on one scale the solver's tolerances mean something.
        unit = float(self.value.max()) or 1.0
        scale = np.maximum(np.abs(self.rows).max(axis=1).toarray()[:, 0], 1e-12)
        rows = sparse.diags(1 / scale) @ self.rows
        found = linprog(
            -self.value / unit, A_ub=rows, b_ub=self.limits / scale,
            bounds=np.column_stack([np.zeros(upper.size), upper]), method="highs",
        )  # fmt: skip
        if found.x is None:
            raise TrainingError("the plan's linear program was not solved", value=str(found.message))
        prices = np.maximum(-found.ineqlin.marginals, 0.0) * unit / scale
        # Any prices give a bound, by weak duality: what the limits cost, and what each variable is worth above.
        above = np.maximum(self.value - self.rows.T @ prices, 0.0)
        bound = float(self.limits @ prices + upper @ above)
        return _Solved(np.asarray(found.x), bound, float(prices[0]), float(prices[1]))
