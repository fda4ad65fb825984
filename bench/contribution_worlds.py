"""One world of bench.contribution: what each of its campaigns caused, and what each estimate says of it."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from features.days import DAY_SECONDS
from features.errors import OverlapError
from features.paths.conversions import read_conversions
from features.paths.paths import Windows, paths_of
from features.paths.touches import read_touches
from features.world.policy import InterestPolicy
from features.world.settings import WorldSettings
from features.world.world import World, run
from training.contribution.credit import credit_by
from training.contribution.credit import credits as credited_by
from training.contribution.doubly_robust import doubly_robust_effect
from training.contribution.holdout import difference_effect, holdout_effect
from training.contribution.outcome_log import read_outcome_log
from training.contribution.outcomes import Campaign, CampaignOutcomes, outcomes_of

MEASURE: Final = "revenue"
WINDOW_DAYS: Final = 14
"""After the last delivery; what comes later is 2 % of all that is caused, and noise otherwise."""

_LATE_DAYS: Final = 2
"""By then the last events of the world have arrived."""

_COLUMNS: Final = (
    "event_id", "arrived_at", "kind", "event_time", "day", "platform", "account", "note", "creator", "topic",
    "campaign", "item", "brand", "category", "order", "amount", "cost_micros", "propensity", "policy",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A world that has passed: its log, its other tables, and its truth."""

    con: duckdb.DuckDBPyConnection
    coded: pa.Table
    tables: dict[str, pa.Table]
    caused: dict[str, int]
    silent: frozenset[str]
    begin: int
    known_at: int

    @property
    def events(self) -> duckdb.DuckDBPyRelation:
        """The events."""
        return self.con.from_arrow(self.coded)


def judged(settings: WorldSettings) -> list[Row]:
    """Let a world pass and judge its campaigns; one row each, money in minor units."""
    made = passed(settings)
    log = read_outcome_log(
        made.events, made.tables["identities"], made.tables["assignments"], known_at=made.known_at
    )
    credited = last_touch(made)
    rows = []
    for row in made.tables["campaigns"].to_pylist():
        campaign = Campaign(row["campaign"], row["brand"], row["starts_at"], row["ends_at"] + 1)
        outcomes = outcomes_of(log, campaign, window_days=WINDOW_DAYS)
        rows.append({
            "campaign": campaign.name, "caused": made.caused[campaign.name], "silent": campaign.name in made.silent,
            "last_touch": credited.get(campaign.name, 0), **_estimates(outcomes),
        })  # fmt: skip
    made.con.close()
    return rows


def passed(settings: WorldSettings) -> Made:
    """Let a world pass, in memory.

    Every shop account is linked to its person: truth counts buyers whom no log could tell from strangers.
    """
    world = World(settings)
    world.people.linked_from[:] = settings.begin - DAY_SECONDS
    world.people.consent[:] = True
    days = [day.coded.select(_COLUMNS) for day in run(world, InterestPolicy())]
    con = duckdb.connect(config={"threads": 2})
    names = world.campaigns.names
    silent = frozenset(names[len(names) - settings.no_effect :])
    coded = pa.concat_tables(days).unify_dictionaries()
    known_at = settings.end + _LATE_DAYS * DAY_SECONDS
    tables = world.tables()
    caused = caused_in_window(world.truth()["campaign_days"], tables["campaigns"])
    return Made(con, coded, tables, caused, silent, settings.begin, known_at)


def caused_in_window(days: pa.Table, campaigns: pa.Table) -> dict[str, int]:
    """Return the revenue that each campaign caused until its window was over, refunds taken back when they came."""
    over = {row["campaign"]: row["ends_at"] // DAY_SECONDS + WINDOW_DAYS for row in campaigns.to_pylist()}
    caused = dict.fromkeys(over, 0)
    for row in days.to_pylist():
        paid = row["revenue"] + row["returned"] if row["day"] <= over[row["campaign"]] else 0
        caused[row["campaign"]] += paid - row["returned"]
    return caused


def last_touch(made: Made) -> dict[str | None, int]:
    """Return what the usual rule credits: the last click within 30 days, or the last view within a day."""
    brands = sorted(set(made.tables["campaigns"]["brand"].to_pylist()))
    stretch = {"start": made.begin, "end": made.known_at, "known_at": made.known_at}
    touches = read_touches(made.events, made.tables["notes"], **stretch, brands=brands)
    conversions = read_conversions(
        made.events, made.tables["identities"], **stretch, brands=brands, notes=made.tables["notes"]
    )
    paths = paths_of(touches, conversions, made.tables["identities"], **stretch, windows=Windows())
    return credit_by(paths, credited_by(paths, paths.values, "last"), "campaign")


def _estimates(outcomes: CampaignOutcomes) -> Row:
    whole, treated = outcomes.whole[MEASURE], outcomes.arm == 1
    held = holdout_effect(outcomes, MEASURE)
    plain = difference_effect(whole, treated)
    reached = treated & (outcomes.served > 0)
    others = treated & (outcomes.served == 0)
    naive = whole[reached].sum() - reached.sum() * whole[others].mean() if others.any() else np.nan
    found: Row = {
        "hold_out": [held.total, held.low, held.high, held.p_value],
        "plain": [plain.total, plain.low, plain.high, plain.p_value],
        "reached_or_not": float(naive),
        "doubly_robust": None,
        "refused": "",
    }
    try:
        effect, overlap = doubly_robust_effect(outcomes, MEASURE)
    except OverlapError as refusal:
        found["refused"] = str(refusal)
    else:
        found["doubly_robust"] = [effect.total, effect.low, effect.high, effect.p_value]
        found["overlap"] = [overlap.effective_size, overlap.dispersion, overlap.imbalance, overlap.certain_share]
    return found
