"""What people did who could have been shown a campaign: bought, entered the shop, and how they were before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS, day_of
from features.events import CAMPAIGNS, EARLIEST_TIME
from features.small_tables import columns_of
from training.contribution.outcome_log import PURCHASE, VISIT, Ints, OutcomeLog, read_outcome_log

Floats = npt.NDArray[np.float64]

MEASURES: Final = ("revenue", "purchases", "visits")
"""What can be caused: revenue net of refunds in minor units, purchases, store visits; all of the brand."""

NEVER: Final = 0

LOOK_BACK: Final = 28
"""Days before a campaign, or before a day of it, that what was known is counted over."""


@dataclass(frozen=True)
class Campaign:
    """A campaign to be judged.

    Parameters
    ----------
    name, brand
        Ids.
    start, end
        First moment of delivery and the first moment after it, epoch seconds.
    """

    name: str
    brand: str
    start: int
    end: int


@dataclass(frozen=True)
class CampaignOutcomes:
    """One campaign, one row per person of its experiment.

    Parameters
    ----------
    log
        What it was collected from.
    campaign
        Which.
    until
        Outcomes count from the campaign's start until before this moment.
    person
        Numbers of the people [n].
    arm
        1 treated, 0 held out, -1 where nobody was assigned [n].
    reached
        Moment of the first impression of the campaign, or of the first one withheld; 0 for never [n].
    logged
        Whether the log tells whom the hold-out kept from an impression.
    served, slots
        Impressions of the campaign, and all ads seen while it ran [n].
    whole, after
        Measure → outcome from the start on, and from `reached` on (0 for those never reached) [n].
    covariates, names
        What was known before the start, or before `reached` where that is logged [n, k].
    """

    log: OutcomeLog
    campaign: Campaign
    until: int
    person: Ints
    arm: npt.NDArray[np.int8]
    reached: Ints
    logged: bool
    served: Ints
    slots: Ints
    whole: dict[str, Ints]
    after: dict[str, Ints]
    covariates: Floats
    names: tuple[str, ...]

    def keys(self) -> pa.Array:
        """Return the people's keys."""
        return self.log.people.take(pa.array(self.person))


def campaign_outcomes(
    events: Any,
    identities: Any | None,
    assignments: Any | None,
    campaigns: Any,
    *,
    window_days: int,
    pre_days: int = LOOK_BACK,
    known_at: int,
    timezone: str = "UTC",
    notes: Any | None = None,
    items: Any | None = None,
) -> dict[str, CampaignOutcomes]:
    """Collect the outcomes of campaigns in one pass over the log.

    Parameters
    ----------
    events, identities, assignments, campaigns
        Canonical tables: DuckDB relations, frames or Arrow tables.
    window_days, pre_days
        As for `outcomes_of`.
    known_at
        Only what had happened and arrived by then counts.
    timezone
        The log's time zone.
    notes, items
        Canonical tables, or None, as for `read_outcome_log`.

    Returns
    -------
    dict
        By campaign; those without a brand, a beginning or an end are left out.
    """
    named = columns_of(campaigns, CAMPAIGNS, ["campaign", "brand", "starts_at", "ends_at"]).to_pylist()
    wanted = [
        Campaign(row["campaign"], row["brand"], row["starts_at"], row["ends_at"] + 1)
        for row in named
        if None not in row.values()
    ]
    first = min((one.start for one in wanted), default=known_at) - (max(pre_days, LOOK_BACK) + 1) * DAY_SECONDS
    log = read_outcome_log(
        events,
        identities,
        assignments,
        known_at=known_at,
        timezone=timezone,
        since=max(first, EARLIEST_TIME),
        notes=notes,
        items=items,
    )
    return {one.name: outcomes_of(log, one, window_days=window_days, pre_days=pre_days) for one in wanted}


def outcomes_of(
    log: OutcomeLog, campaign: Campaign, *, window_days: int, pre_days: int = LOOK_BACK
) -> CampaignOutcomes:
    """Collect the outcomes of one campaign.

    Parameters
    ----------
    log
        What `read_outcome_log` read.
    campaign
        Which.
    window_days
        Days after the last delivery in which what was caused still counts; what the log does not know yet does not.
    pre_days
        Days before the start that covariates count over.

    Returns
    -------
    CampaignOutcomes
        Of everybody who was assigned; of everybody in the log where nobody was.
    """
    n, until = len(log.people), min(campaign.end + window_days * DAY_SECONDS, log.known_at)
    person, arm = _experiment(log, campaign.name)
    code = log.code("campaigns", campaign.name)
    low, high = np.searchsorted(log.slots["time"], [campaign.start, campaign.end])
    who = log.slots["person"][low:high]
    own = log.slots["campaign"][low:high] == code
    kept = log.slots["withheld"][low:high] == code
    reached = np.full(n, NEVER, np.int64)
    shown = np.flatnonzero(own | kept)[::-1]  # in reverse, so that the first one stays
    reached[who[shown]] = log.slots["time"][low:high][shown]
    logged = bool(kept.any())
    known = day_of(np.where(logged & (reached > NEVER), reached, campaign.start), log.timezone).astype(np.int64)
    covariates, names = covariates_of(log, campaign.brand, known, pre_days)
    whole = totals(log, campaign.brand, np.full(n, campaign.start), until)
    after = totals(log, campaign.brand, np.where(reached > NEVER, reached, until), until)
    return CampaignOutcomes(
        log,
        campaign,
        until,
        person,
        arm,
        reached[person],
        logged,
        np.bincount(who[own], minlength=n)[person],
        np.bincount(who, minlength=n)[person],
        {name: values[person] for name, values in whole.items()},
        {name: values[person] for name, values in after.items()},
        covariates[person],
        names,
    )


def totals(log: OutcomeLog, brand: str, begin: Ints, until: int) -> dict[str, Ints]:
    """Return each person's outcomes from a moment of their own until before another, for all people of the log."""
    sales, n = log.sales, len(log.people)
    rows = (sales["brand"] == log.code("brands", brand)) & (sales["time"] < until)
    rows &= sales["time"] >= begin[sales["person"]]
    who, what, amount = sales["person"][rows], sales["what"][rows], sales["amount"][rows]
    return {
        "revenue": np.bincount(who, amount, minlength=n).astype(np.int64),
        "purchases": np.bincount(who[what == PURCHASE], minlength=n),
        "visits": np.bincount(who[what == VISIT], minlength=n),
    }


def covariates_of(log: OutcomeLog, brand_name: str, known: Ints, pre_days: int) -> tuple[Floats, tuple[str, ...]]:
    """Count what people did in the days before a day of their own, for all people of the log.

    Parameters
    ----------
    brand_name
        The campaign's brand.
    known
        Only days before this one count [people].
    pre_days
        Days to look back.

    Returns
    -------
    tuple
        Natural logarithms of one plus each count [people, k], and the names; counts of nobody are left out.
    """
    n, brand = len(log.people), log.code("brands", brand_name)
    category = category_of(log, brand)

    def count(table: dict[str, Ints], rows: npt.NDArray[np.bool_], weights: Ints | None = None) -> Floats:
        day, who = table["day"], table["person"]
        rows = rows & (day < known[who]) & (day >= known[who] - pre_days)
        return np.bincount(who[rows], None if weights is None else weights[rows], minlength=n).astype(np.float64)

    acts, sales = log.acts, log.sales
    click, bought = acts["click"] == 1, sales["what"] == PURCHASE
    number = acts["number"]
    made = {
        "brand_purchases": count(sales, bought & (sales["brand"] == brand)),
        "category_purchases": count(sales, bought & (sales["category"] == category)),
        "purchases": count(sales, bought),
        "brand_visits": count(sales, (sales["what"] == VISIT) & (sales["brand"] == brand)),
        "visits": count(sales, sales["what"] == VISIT),
        "brand_clicks": count(acts, click & (acts["brand"] == brand), number),
        "category_clicks": count(acts, click & (acts["category"] == category), number),
        "clicks": count(acts, click, number),
        "impressions": count(acts, ~click, number),
    }
    made = {name: np.log1p(values) for name, values in made.items() if values.any()}
    # How long there was to buy after the first impression, where that is when covariates are counted.
    made |= {"day": known.astype(np.float64)} if len(known) and np.ptp(known) else {}
    return np.column_stack([*made.values()]) if made else np.empty((n, 0)), tuple(made)


def category_of(log: OutcomeLog, brand: int) -> int:
    """Return the category that a brand sells most often, or is most often clicked for where it sells nothing."""
    for table in (log.sales, log.acts):
        found = table["category"][(table["brand"] == brand) & (table["category"] >= 0)]
        if len(found):
            return int(np.bincount(found).argmax())
    return -2


def _experiment(log: OutcomeLog, name: str) -> tuple[Ints, npt.NDArray[np.int8]]:
    if name in log.arms:
        person, treated = log.arms[name]
        return person, treated.astype(np.int8)
    return np.arange(len(log.people)), np.full(len(log.people), -1, np.int8)
