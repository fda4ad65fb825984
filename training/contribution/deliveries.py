"""A campaign's chances, one row per person and day with ads: how many ads, how many of them the campaign's."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from training.contribution.outcome_log import PURCHASE, REFUND, VISIT, Ints
from training.contribution.outcomes import LOOK_BACK, CampaignOutcomes, Floats, category_of

SPANS: Final = (7, LOOK_BACK)
"""Days that what was known before a day is counted over."""

CLICK_SPANS: Final = (3, 7, 14, LOOK_BACK)
CAPS: Final = (1, 2, 4)
"""Policies look at the latest clicks in an ad's category, and at the first few of them most."""


@dataclass(frozen=True)
class Deliveries:
    """The ads that people saw while a campaign ran, by person and day.

    Parameters
    ----------
    person, day
        Whose, and when [m]; people who were held out are not in here.
    slots, served
        Ads seen that day, and how many of them were the campaign's [m].
    recorded
        Mean recorded chance of the campaign's impressions, NaN for none [m].
    outcome
        The person's outcome from that day on, until the window's end [m].
    known
        What was known when the day began, logarithms of one plus each count [m, k].
    names
        Of those columns.
    capped
        The latest clicks in the category, counted up to each of `CAPS` [m, c].
    """

    person: Ints
    day: Ints
    slots: Ints
    served: Ints
    recorded: Floats
    outcome: Floats
    known: Floats
    names: tuple[str, ...]
    capped: Floats

    def take(self, rows: npt.NDArray[np.bool_]) -> Deliveries:
        """Return some of the rows."""
        some = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "names"}
        return replace(self, **some)


def deliveries_of(outcomes: CampaignOutcomes, measure: str) -> Deliveries:
    """Collect a campaign's deliveries.

    Parameters
    ----------
    outcomes
        Of the campaign.
    measure
        One of `training.contribution.outcomes.MEASURES`.
    """
    log, campaign = outcomes.log, outcomes.campaign
    low, high = np.searchsorted(log.slots["time"], [campaign.start, campaign.end])
    who, day = log.slots["person"][low:high], log.slots["day"][low:high]
    own = log.slots["campaign"][low:high] == log.code("campaigns", campaign.name)
    taking_part = np.zeros(len(log.people), bool)
    taking_part[outcomes.person[outcomes.arm != 0]] = True
    kept = taking_part[who]
    places = _places(who[kept], day[kept])
    cells, row, slots = np.unique(places, return_inverse=True, return_counts=True)
    mine = own[kept]
    served = np.bincount(row, mine, minlength=len(cells)).astype(np.int64)
    told = np.bincount(row[mine], log.propensity[low:high][kept][mine], minlength=len(cells))
    person, days = cells >> _DAY_BITS, cells & _DAY_MASK
    columns, capped = _known(outcomes, person, days)
    return Deliveries(
        person,
        days,
        slots,
        served,
        np.where(served > 0, told / np.maximum(served, 1), np.nan),
        _outcome(outcomes, measure, person, days),
        np.column_stack([*columns.values()]) if columns else np.empty((len(cells), 0)),
        tuple(columns),
        capped,
    )


_DAY_BITS: Final = 20
_DAY_MASK: Final = (1 << _DAY_BITS) - 1


def _places(person: Ints, day: Ints) -> Ints:
    return (person << _DAY_BITS) | day


def _outcome(outcomes: CampaignOutcomes, measure: str, person: Ints, day: Ints) -> Floats:
    """Return each person's outcome from the beginning of a day on."""
    log, sales = outcomes.log, outcomes.log.sales
    rows = (sales["brand"] == log.code("brands", outcomes.campaign.brand)) & (sales["time"] < outcomes.until)
    rows &= (sales["what"] == VISIT) if measure == "visits" else (sales["what"] != VISIT)
    if measure == "purchases":
        rows &= sales["what"] != REFUND
    value = sales["amount"][rows] if measure == "revenue" else np.ones(int(rows.sum()), np.int64)
    cells = _places(sales["person"][rows], sales["day"][rows])
    return _counted(cells, value, _places(person, day), _places(person, np.full_like(day, _DAY_MASK)))


def _known(outcomes: CampaignOutcomes, person: Ints, day: Ints) -> tuple[dict[str, Floats], Floats]:
    log = outcomes.log
    brand = log.code("brands", outcomes.campaign.brand)
    category = category_of(log, brand)
    acts, sales = log.acts, log.sales
    click, bought = acts["click"] == 1, sales["what"] == PURCHASE
    found: dict[str, Floats] = {}
    capped: list[Floats] = []
    tables: tuple[tuple[str, dict[str, Ints], npt.NDArray[np.bool_], tuple[int, ...]], ...] = (
        ("category_clicks", acts, click & (acts["category"] == category), CLICK_SPANS),
        ("brand_clicks", acts, click & (acts["brand"] == brand), SPANS[1:]),
        ("clicks", acts, click, SPANS),
        ("impressions", acts, ~click, SPANS),
        ("brand_purchases", sales, bought & (sales["brand"] == brand), SPANS[1:]),
        ("category_purchases", sales, bought & (sales["category"] == category), SPANS[1:]),
        ("purchases", sales, bought, SPANS[1:]),
        ("category_visits", sales, (sales["what"] == VISIT) & (sales["category"] == category), SPANS[1:]),
    )
    for name, table, rows, spans in tables:
        cells = _places(table["person"][rows], table["day"][rows])
        value = table["number"][rows] if "number" in table else np.ones(len(cells), np.int64)
        for span in spans:
            count = _counted(cells, value, _places(person, np.maximum(day - span, 0)), _places(person, day))
            if count.any():
                found[f"{name}_{span}d"] = np.log1p(count)
            if spans is CLICK_SPANS:
                capped += [np.minimum(count, cap) for cap in CAPS]
    return found, np.column_stack(capped)


def _counted(cells: Ints, value: Ints, first: Ints, last: Ints) -> Floats:
    """Add up values whose cells lie from `first` until before `last`, for many such stretches."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    summed = np.append(0, np.cumsum(value[order]))
    sums: Floats = (summed[np.searchsorted(ordered, last)] - summed[np.searchsorted(ordered, first)]) * 1.0
    return sums
