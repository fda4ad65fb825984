"""The people whom a plan can reach, summed to a market of audiences, and what their being a sample leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.policy.plan import Plan
from training.policy.plan_caused import CausedShare
from training.policy.plan_market import Market, bought, by_piece, falling, rising
from training.policy.plan_repeats import Repeats, drawn_rates
from training.policy.plan_segments import FEWEST_PEOPLE, Segment
from training.quality.metrics import Floats

_LEAST_ROOM = 1e-3


@dataclass(frozen=True)
class Reachable:
    """People with ad slots, a row per person and platform.

    Parameters
    ----------
    person, platform
        Numbers [rows].
    slots
        Ad slots expected in the plan's days [rows].
    chance
        Of a purchase that follows an impression of a note, as the conversion model counts it [rows, notes].
    stratum
        See `training.policy.plan_caused.STRATA` [people].
    member
        Who has which tag [people, tags].
    impressions, hides
        Paid ones of the weeks before [people].
    per_person
        People in the log for each of these: they may be a sample.
    """

    person: NDArray[np.int64]
    platform: NDArray[np.int64]
    slots: Floats
    chance: Floats
    stratum: NDArray[np.int64]
    member: NDArray[np.bool_]
    impressions: Floats
    hides: Floats
    per_person: float = 1.0

    def worth(self, shares: Floats) -> Floats:
        """Return what each person's impressions cause on average over notes, by their slots [people]."""
        each = self.chance.mean(axis=1) * shares[self.stratum[self.person]]
        many = len(self.stratum)
        slots = np.bincount(self.person, self.slots, many)
        return np.asarray(np.bincount(self.person, each * self.slots, many) / np.maximum(slots, _LEAST_ROOM))


@dataclass(frozen=True)
class Expected:
    """What a plan is expected to cause, with 95 % intervals.

    Parameters
    ----------
    caused, low, high
        Purchases of the plan.
    broad, broad_low, broad_high
        Of the same money spent on slots of all audiences and notes alike.
    lift, lift_low, lift_high
        Plan over broad, less 1.
    """

    caused: float
    low: float
    high: float
    broad: float
    broad_low: float
    broad_high: float
    lift: float
    lift_low: float
    lift_high: float


def market_of(
    people: Reachable,
    segments: Sequence[Segment],
    shares: Floats,
    repeats: Repeats,
    cost: Floats,
    *,
    cap: int,
    most_of_slots: float,
    fewest: int = FEWEST_PEOPLE,
) -> Market:
    """Sum people to audiences.

    Parameters
    ----------
    people, segments
        Who they are.
    shares
        Caused per purchase that follows, by stratum.
    repeats
        How response falls and hides rise.
    cost
        Of an impression [platforms].
    cap
        Most impressions of a note per person.
    most_of_slots
        Share of anybody's slots that the campaign may take.
    fewest
        An audience that has fewer people on a platform is not reached there.
    """
    audience = _audience(people, segments)
    platforms, cells = len(cost), len(segments) * len(cost)
    shape = (len(segments), platforms, -1)
    there = audience >= 0
    cell = audience * platforms + people.platform
    weight = _weight(people, cap, most_of_slots)
    caused = people.chance * shares[people.stratum[people.person]][:, None]
    sums = _by_cell(cell, there, np.column_stack([weight[:, None] * caused, weight]), cells)
    value = (sums[:, :-1] / np.maximum(sums[:, -1:], _LEAST_ROOM)).reshape(shape).transpose(0, 2, 1)
    few = _by_cell(cell, there, np.ones((len(cell), 1)), cells) < fewest
    each = bought(people.slots, repeats.response[:cap], repeats.hides[:cap])
    impressions, worth, hidden, reached = (
        np.where(few, 0.0, _by_cell(cell, there, of, cells) * people.per_person).reshape(shape) for of in each
    )
    slots = np.where(few, 0.0, _by_cell(cell, there, people.slots[:, None], cells) * people.per_person)
    room = by_piece(impressions)
    seen, hides = (
        np.array([of[segment.rows].sum() for segment in segments]) for of in (people.impressions, people.hides)
    )
    return Market(
        value=np.ascontiguousarray(value),
        room=room,
        response=falling(by_piece(worth), room),
        hides=drawn_rates(hides, seen)[:, None, None] * rising(by_piece(hidden), room),
        reached=reached,
        usual_hides=float(people.hides.sum() / max(people.impressions.sum(), 1.0)),
        cost=cost,
        slots=slots.reshape(shape[:2]),
        most_of_slots=most_of_slots,
        cap=cap,
    )


def _weight(people: Reachable, cap: int, most_of_slots: float) -> Floats:
    """Return about how often each is shown a note, beside the others."""
    return np.asarray(np.clip(people.slots * most_of_slots, _LEAST_ROOM, cap))


def expected_of(
    plan: Plan, people: Reachable, segments: Sequence[Segment], share: CausedShare, *, seed: int = 7
) -> Expected:
    """Return what is expected of a plan and of broad delivery at its cost.

    Intervals come from people drawn anew: those who can be reached, and those of the hold-outs that say what share
    is caused. What the conversion model is wrong by beyond that share is not in them.

    Parameters
    ----------
    plan
        Of a market that `market_of` made of these people and segments.
    people, segments, share
        As there.
    seed
        Of the draws.
    """
    market = plan.market
    audience, platforms = _audience(people, segments), len(market.cost)
    there = audience >= 0
    cell = audience * platforms + people.platform
    weight = _weight(people, market.cap, market.most_of_slots)
    ours, broad = market.worth(plan.total), market.worth(market.broad(plan.cost))
    cells, strata = len(segments) * platforms, share.shares.size
    stratum = people.stratum[people.person]
    group = cell * strata + stratum
    values = np.column_stack([weight[:, None] * people.chance, weight])

    def caused(drawn: Floats, shares: Floats) -> tuple[float, float]:
        sums = _by_cell(group, there, values * drawn[people.person, None], cells * strata)
        sums = sums.reshape(cells, strata, -1)
        total = np.maximum(sums[:, :, -1].sum(axis=1), _LEAST_ROOM)
        mean = np.einsum("csn,s->cn", sums[:, :, :-1], shares) / total[:, None]
        mean = mean.reshape(len(segments), platforms, -1).transpose(0, 2, 1)
        return float((ours * mean).sum()), float((broad * mean).sum())

    rng = np.random.default_rng(seed)
    many = len(people.stratum)
    point = caused(np.ones(many), share.shares)
    found = np.array([caused(rng.poisson(1.0, many).astype(float), shares) for shares in share.draws])
    lift = found[:, 0] / np.maximum(found[:, 1], 1e-300) - 1
    lows, highs = np.quantile(np.column_stack([found, lift]), [0.025, 0.975], axis=0).tolist()
    return Expected(
        point[0], lows[0], highs[0], point[1], lows[1], highs[1],
        point[0] / max(point[1], 1e-300) - 1, lows[2], highs[2],
    )  # fmt: skip


def _audience(people: Reachable, segments: Sequence[Segment]) -> NDArray[np.int64]:
    """Return each row's audience, -1 for none."""
    of = np.full(len(people.stratum), -1, np.int64)
    for number, segment in enumerate(segments):
        of[segment.rows] = number
    return of[people.person]


def _by_cell(cell: NDArray[np.int64], there: NDArray[np.bool_], values: Floats, cells: int) -> Floats:
    return np.column_stack([np.bincount(cell[there], column[there], cells) for column in values.T])
