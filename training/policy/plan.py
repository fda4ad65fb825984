"""A delivery plan: which audience sees which note on which platform how often, for the most that money causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from features.errors import OverlapError, TrainingError
from training.policy.plan_market import Market
from training.quality.metrics import Floats

_MOST_FACTOR: Final = 3.0
_SECONDS: Final = 20.0
_CLOSE: Final = 1e-3


@dataclass(frozen=True)
class Plan:
    """How to spend.

    Parameters
    ----------
    market
        What could be bought.
    total
        Impressions [audiences, notes, platforms].
    explored
        Those of them that are bought of everybody alike, whatever is believed.
    value, cost, hides
        Expected of all of them.
    bound
        No plan of that budget that keeps to the same rules can be expected to cause more.
    money_price, tolerance_price
        What one more unit of money would cause, and one more hide that people bear.
    """

    market: Market
    total: Floats
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
    def share(self) -> Floats:
        """Chance that a slot of somebody below the cap shows the note: the propensity to be logged."""
        return self.market.chance(self.total)

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
        People that an audience must reach with a note on a platform, beside exploration; 0 for no such rule.

    Raises
    ------
    TrainingError
        The budget does not pay for the fewest people, or the share is none.
    OverlapError
        The campaign may take no slot.

    Notes
    -----
    A linear program over the market's pieces, solved by HiGHS: money, slots, room and tolerance (no more hides per
    impression than people bore so far) are its constraints. Later pieces are worth less and are hidden more, so
    they are bought after earlier ones without being told to. The bound is the dual's value: by weak duality no plan
    is worth more than the constraints cost at any prices. Where a buy would reach fewer people than it must, whole
    numbers decide which buys are made at all, within a tenth of a percent or 20 seconds; what is lost to that and
    to whole impressions is the `gap`.
    """
    if not 0 <= explore < 1:
        raise TrainingError("a share of exploration lies from 0 to below 1", value=explore)
    least = fewest * float(market.cost.min())
    if budget < least:
        raise TrainingError(
            f"the budget does not pay for one impression each of {fewest} people", value=budget, valid=[least]
        )
    if (market.slots * market.most_of_slots).sum() <= 0:
        raise OverlapError("the audiences have no ad slot that the campaign may take", value=0)
    explored = market.broad(explore * budget)
    program = _Program.of(market, budget, explored)
    x, prices = program.relaxed()
    evenly = float((market.worth(explored) * market.value).sum())
    bound = program.bound(prices) + evenly
    short = program.short(x, fewest)
    if short.any():
        x = program.whole(fewest)
    total = np.floor(program.impressions(x) + _CLOSE) + explored
    return Plan(
        market,
        total,
        explored,
        value=float((market.worth(total) * market.value).sum()),
        cost=float(total.sum(axis=(0, 1)) @ market.cost),
        hides=market.hidden(total),
        bound=bound,
        money_price=float(prices[0]),
        tolerance_price=float(prices[1]),
    )


def broad_value(market: Market, budget: float) -> float:
    """Return what a budget is expected to cause that buys slots of all audiences and notes alike."""
    return float((market.worth(market.broad(budget)) * market.value).sum())


@dataclass(frozen=True)
class _Program:
    """The linear program; variables by audience, note, platform and piece, in the order of C."""

    market: Market
    value: Floats
    rows: sparse.csr_matrix
    limits: Floats
    room: Floats
    explored: Floats

    @classmethod
    def of(cls, market: Market, budget: float, explored: Floats) -> _Program:
        platforms, pieces = market.slots.shape[1], market.room.shape[-1]
        shape = (*market.value.shape, pieces)
        value = (market.value[..., None] * market.response[:, None]).ravel()
        cost = np.broadcast_to(market.cost[None, None, :, None], shape).ravel()
        worse = np.broadcast_to((market.hides - market.usual_hides)[:, None], shape).ravel()
        room = np.maximum(np.broadcast_to(market.room[:, None], shape) - market.pieces(explored), 0.0).ravel()
        audience, _, platform, _ = np.indices(shape).reshape(4, -1)
        columns = np.arange(value.size)
        by_slot = sparse.csr_matrix((np.ones(value.size), (audience * platforms + platform, columns)))
        rows = sparse.vstack([cost[None, :], worse[None, :], by_slot]).tocsr()
        left = budget - float(explored.sum(axis=(0, 1)) @ market.cost)
        slots = np.maximum(market.slots * market.most_of_slots - explored.sum(axis=1), 0.0)
        return cls(market, value, rows, np.concatenate([[left, 0.0], slots.ravel()]), room, explored)

    @property
    def _scaled(self) -> tuple[Floats, sparse.csr_matrix, Floats, Floats]:
        """Values are tiny beside costs: on one scale the solver's tolerances mean something."""
        unit = np.array([float(self.value.max()) or 1.0])
        scale = np.maximum(np.abs(self.rows).max(axis=1).toarray()[:, 0], 1e-12)
        return unit, sparse.diags(1 / scale) @ self.rows, self.limits / scale, scale

    def relaxed(self) -> tuple[Floats, Floats]:
        """Return the best buys, and prices of the limits."""
        unit, rows, limits, scale = self._scaled
        bounds = np.column_stack([np.zeros(self.room.size), self.room])
        found = linprog(-self.value / unit, A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
        if found.x is None:
            raise TrainingError("the plan's linear program was not solved", value=str(found.message))
        return np.asarray(found.x), np.maximum(-found.ineqlin.marginals, 0.0) * unit / scale

    def bound(self, prices: Floats) -> float:
        """Return what the limits cost at prices, and what each buy is worth above them."""
        above = np.maximum(self.value - self.rows.T @ prices, 0.0)
        return float(self.limits @ prices + self.room @ above)

    def impressions(self, x: Floats) -> Floats:
        """Return the buys [audiences, notes, platforms]."""
        return np.asarray(x.reshape(*self.market.value.shape, -1).sum(axis=-1))

    def short(self, x: Floats, fewest: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return which buys reach fewer people than they must."""
        found = self.impressions(x)
        return np.asarray((found > _CLOSE) & (found + self.explored < self.market.least(fewest)[:, None] - _CLOSE))

    def whole(self, fewest: int) -> Floats:
        """Return the best buys of which each reaches the fewest people, or is not made."""
        unit, rows, limits, _ = self._scaled
        cells = self.market.value.size
        pieces = self.room.size // cells
        need = np.broadcast_to(self.market.least(fewest)[:, None], self.market.value.shape)
        need = np.maximum(need - self.explored, 0.0).ravel()
        most = self.room.reshape(cells, pieces).sum(axis=1)
        made = np.isfinite(need) & (need <= most)
        member = sparse.kron(sparse.eye(cells), np.ones((1, pieces)))
        least, limit = (sparse.diags(np.where(made, of, 0.0)) for of in (need, most))
        constraints = [
            LinearConstraint(sparse.hstack([rows, sparse.csr_matrix((rows.shape[0], cells))]), -np.inf, limits),
            LinearConstraint(sparse.hstack([member, -limit]), -np.inf, 0.0),
            LinearConstraint(sparse.hstack([member, -least]), 0.0, np.inf),
        ]
        found = milp(
            np.concatenate([-self.value / unit, np.zeros(cells)]), constraints=constraints,
            integrality=np.concatenate([np.zeros(self.room.size), np.ones(cells)]),
            bounds=Bounds(0, np.concatenate([self.room, made.astype(float)])),
            options={"time_limit": _SECONDS, "mip_rel_gap": _CLOSE},
        )  # fmt: skip
        if found.x is None:
            raise TrainingError("no buy reaches enough people in time", value=str(found.message))
        return np.asarray(found.x[: self.room.size])
