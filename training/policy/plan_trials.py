"""What followed paid impressions of the last weeks, and what the hold-outs of their campaigns say was caused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.impressions.responses import TARGETS, responses
from features.impressions.table import read_impressions
from training.contribution.outcomes import campaign_outcomes
from training.policy.plan_caused import Trials, trials_of
from training.policy.plan_source import PlanTables

ENOUGH: Final = 1_000
"""People are valued by the last step towards a purchase that followed so many paid impressions."""
_STEPS: Final = ("click", "true_interest", "link_click", "store_visit", "cart", "ctcvr")
_TRIAL_DAYS: Final = 60
_SETTLED_DAYS: Final = 14


def followed(tables: PlanTables) -> tuple[Trials | None, dict[str, int]]:
    """Read what followed paid impressions of the last weeks, and what the hold-outs of their campaigns say.

    Returns
    -------
    trials, steps
        Of campaigns that began long enough ago for purchases to have followed; how many impressions led to each of
        `features.impressions.responses.TARGETS`.
    """
    since = tables.at - _TRIAL_DAYS * DAY_SECONDS
    begun = tables.campaigns.filter(
        pc.and_(
            pc.greater_equal(tables.campaigns["starts_at"], since),
            pc.less_equal(tables.campaigns["starts_at"], tables.at - _SETTLED_DAYS * DAY_SECONDS),
        )
    )
    paid = tables.events.filter("kind = 'impression' and campaign is not null")
    shown = read_impressions(
        paid,
        tables.identities,
        tables.notes,
        start=since,
        end=tables.at,
        known_at=tables.at,
        timezone=tables.timezone,
    )
    if not len(shown):
        return None, dict.fromkeys(TARGETS, 0)
    labels = responses(tables.events, tables.identities, shown, span=(since, tables.at)).labels(tables.at)
    steps = dict(zip(TARGETS, labels.sum(axis=0).tolist(), strict=True))
    bought = shown.table.select(["campaign", "person"]).filter(pa.array(labels[:, TARGETS.index("ctcvr")] > 0))
    after: dict[str, dict[str, int]] = {}
    for row in bought.group_by(["campaign", "person"]).aggregate([([], "count_all")]).to_pylist():
        after.setdefault(row["campaign"], {})[row["person"]] = row["count_all"]
    if not begun.num_rows:
        return None, steps
    outcomes = campaign_outcomes(
        tables.events, tables.identities, tables.assignments, begun, window_days=_SETTLED_DAYS, known_at=tables.at,
        timezone=tables.timezone, notes=tables.notes, items=tables.items,
    )  # fmt: skip
    return trials_of(list(outcomes.values()), [after.get(name, {}) for name in outcomes]), steps


def sought_of(steps: Mapping[str, int], targets: Sequence[str]) -> str:
    """Return the last step towards a purchase that followed often enough and has a model.

    Examples
    --------
    >>> sought_of({"click": 9_000, "true_interest": 4_000, "ctcvr": 12}, ("click", "true_interest", "ctcvr"))
    'true_interest'
    """
    if "ctcvr" not in targets:
        raise TrainingError(
            "the conversion champion does not predict purchases", value=list(targets), valid=["ctcvr"],
            next_step="run `zhongcao train conversion` on a log in which purchases follow paid impressions",
        )  # fmt: skip
    often = [step for step in _STEPS if step in targets and steps.get(step, 0) >= ENOUGH]
    return often[-1] if often else "ctcvr"
