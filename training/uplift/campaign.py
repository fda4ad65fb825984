"""A campaign's hold-out as a trial: arms from the assignments, outcomes from the log, wide rows from before."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import TrainingError
from features.events import CAMPAIGNS
from features.joins import relation_of
from features.people.population import population
from features.rows.build import build_rows
from features.rows.catalog import default_person_features, default_scope_features
from features.rows.layout import RowLayout
from features.scopes import Scopes
from features.small_tables import columns_of
from training.contribution.holdout import check_alike
from training.contribution.outcome_log import HOLD_OUT, read_outcome_log
from training.contribution.outcomes import MEASURES, Campaign, CampaignOutcomes, category_of, outcomes_of
from training.uplift.arms import Arms
from training.uplift.base import Matrix
from training.uplift.trial import Trial

TREATED: Final = "treated"


def campaign_trial(
    events: Any,
    identities: Any | None,
    assignments: Any,
    campaigns: Any,
    *,
    campaign: str,
    outcome: str = "purchases",
    window_days: int = 14,
    known_at: int,
    timezone: str = "UTC",
) -> Trial:
    """Read a campaign's hold-out as a trial.

    Who is kept from the campaign was drawn by lot, and so were those who were not. Where the log tells whom the
    hold-out kept from an impression, people count who were shown one or would have been, from that moment on;
    else everybody who was assigned, from the campaign's start on.

    Parameters
    ----------
    events, identities, assignments, campaigns
        Canonical tables, as `training.contribution.outcomes.campaign_outcomes` takes them.
    campaign
        Its id.
    outcome
        ``purchases``, ``revenue`` (net of refunds, minor units) or ``visits``, all of the campaign's brand.
    window_days
        Days after the campaign's end in which outcomes count.
    known_at
        Only what had happened and arrived by then counts.
    timezone
        The log's time zone.

    Returns
    -------
    Trial
        People under the keys that the online store names them by. Columns are the wide row over everything and
        within the brand's category, as of the campaign's start, and what `covariates_of` counts of the brand.

    Raises
    ------
    TrainingError
        There is no such campaign or outcome, or the campaign has no hold-out.
    OverlapError
        The arms were not reached alike.
    """
    if outcome not in MEASURES:
        raise TrainingError("no such outcome of a campaign", value=outcome, valid=MEASURES)
    named = {
        row["campaign"]: row
        for row in columns_of(campaigns, CAMPAIGNS, ["campaign", "brand", "starts_at", "ends_at"]).to_pylist()
        if None not in row.values()
    }
    if campaign not in named:
        raise TrainingError(
            "the log has no such campaign with a brand, a beginning and an end", value=campaign, valid=sorted(named)
        )
    log = read_outcome_log(events, identities, assignments, known_at=known_at, timezone=timezone)
    row = named[campaign]
    about = Campaign(campaign, row["brand"], row["starts_at"], row["ends_at"] + 1)
    found = outcomes_of(log, about, window_days=window_days) if campaign in log.arms else None
    used = np.zeros(0, bool)
    if found is not None:
        used = found.reached > 0 if found.logged else np.ones(len(found.arm), bool)
    if found is None or set(found.arm[used].tolist()) != {0, 1}:
        raise TrainingError(
            "the campaign has no hold-out, so whom it changed cannot be learned from it",
            value=campaign,
            next_step="name a campaign whose assignments have the arms treated and hold_out",
        )
    if found.logged:
        assigned = found.arm >= 0
        check_alike(campaign, found.reached[assigned] > 0, found.arm[assigned] == 1)
    came = (found.after if found.logged else found.whole)[outcome][used]
    keys = found.keys().filter(pa.array(used))
    columns, X = _columns(events, identities, found, keys, found.covariates[used])
    varied = np.flatnonzero([np.unique(column[np.isfinite(column)]).size > 1 for column in X.T])
    if not len(varied):
        raise TrainingError(
            "nothing is known of the campaign's people from before it", value=campaign, next_step="name a later one"
        )
    return Trial(
        people=np.array(keys.to_pylist(), dtype=object),
        columns=tuple(columns[place] for place in varied),
        X=X[:, varied],
        arms=Arms(HOLD_OUT, (TREATED,)),
        codes=found.arm[used].astype(np.int64),
        outcome=came.astype(np.float64),
        propensity=None,
        left_out={},
    )


def _columns(
    events: Any, identities: Any | None, found: CampaignOutcomes, keys: pa.Array, covariates: Matrix
) -> tuple[tuple[str, ...], Matrix]:
    """Return the names and values of the wide rows as of the campaign's start beside the given covariates."""
    log, start = found.log, found.campaign.start
    relation = relation_of(events)
    before = relation.filter(f"event_time < {start} and arrived_at <= {start}")
    kinds = {kind for (kind,) in before.project("kind").distinct().fetchall()}
    category = category_of(log, log.code("brands", found.campaign.brand))
    scopes = Scopes.of({"category": [log.categories[category]]} if category >= 0 else {})
    layout = RowLayout(
        default_person_features(kinds), default_scope_features(kinds), scopes, (-1,) * len(scopes.names), ()
    )
    names = (*layout.columns, *(f"before_{name}" for name in found.names))
    wide = np.full((len(keys), layout.width), np.nan)
    if kinds:
        spine = population(relation, identities, [start], log.timezone)
        row = pc.index_in(keys, spine.rows["person"].combine_chunks())
        known = row.is_valid().to_numpy(zero_copy_only=False)
        wide[known] = build_rows(layout, relation, spine)[row.drop_null().to_numpy()]
    return names, np.concatenate([wide, covariates], axis=1)
