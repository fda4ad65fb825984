"""Plans the delivery of a campaign from the log and the champions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import OverlapError, TrainingError
from features.locks import READING_LOCK, Shared
from features.log.event_log import EventLog
from features.settings import Settings
from serving.consent.log import deleted_tags
from serving.histories.person_scores import scoring_tags
from training.bundles.champion import champion_path, verify_bundle
from training.bundles.manifest import CONVERSION, TAGS
from training.conversion.bundle import load_conversion_bundle
from training.policy.plan import Plan, broad_value, make_plan
from training.policy.plan_caused import caused_share
from training.policy.plan_chances import PlanModels, chances
from training.policy.plan_made import DeliveryPlan, Learned, PlanQuestion, plan_of
from training.policy.plan_people import expected_of
from training.policy.plan_repeats import LEVELS, repeats_of
from training.policy.plan_source import Delivered, PlanTables, members, reachable, read_reachable
from training.policy.plan_trials import followed, sought_of
from training.quality.metrics import Floats
from training.source import present_of
from training.steps import Steps
from training.tags.bundle import load_bundle

_CURVE: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_MICROS: Final = 1e6
_FEWEST_PRICED: Final = 50


def plan_delivery(
    settings: Settings, question: PlanQuestion, steps: Steps, models: PlanModels | None = None
) -> DeliveryPlan:
    """Make a plan.

    Parameters
    ----------
    settings
        Where log and champions lie.
    question
        What is to be planned.
    steps
        Tells how far it is.
    models
        Those that serve by default.

    Raises
    ------
    TrainingError
        There is no such campaign, it has no notes, the budget is too small, or purchases are not predicted.
    OverlapError
        The log tells of nobody who could be reached, or of no cost.
    BundleError
        There is no champion of tags or of conversions, or one is corrupt.
    """
    if not 1 <= question.cap <= LEVELS:
        raise TrainingError("no such frequency cap", value=question.cap, valid=[f"1 to {LEVELS}"])
    log = EventLog.open(settings)
    models = models or champions(settings)
    with plan_tables(log, present_of(log, question.as_of)) as tables:
        brand, notes = _campaign(tables, question.campaign)
        with steps.step("read delivery so far and hold-outs", 1) as advance:
            who = read_reachable(tables, question.campaign, most=question.most, seed=question.seed)
            trials, many = followed(tables)
            sought = sought_of(many, models.conversion.model.targets)
            advance()
        with steps.step("score people and notes", 2) as advance:
            member = members(tables, who, models.tags, deleted_tags(settings))
            advance()
            predicted = chances(tables, who, notes, models, sought)
            advance()
        people = reachable(
            tables, who, predicted, member, brand=brand, categories=_names(notes, "category"), days=question.days
        )
        cost = _costs(who, predicted[2], question.campaign)
    repeats = repeats_of(who.table.filter(pc.is_valid(who.table["campaign"])))
    learned = Learned(caused_share(trials, seed=question.seed), repeats, cost)
    tags = tuple(tag.id for tag in models.tags.taxonomy.tags)
    with steps.step("plan", len(_CURVE) + 1) as advance:
        segments, made = plan_of(people, tags, learned, question)
        expected = expected_of(made, people, segments, learned.share, seed=question.seed)
        advance()
        curve = []
        for times in _CURVE:
            budget = question.budget * times
            if budget >= _least(made):
                curve.append((budget, make_plan(made.market, budget, explore=question.explore, fewest=0).value,
                              broad_value(made.market, budget)))  # fmt: skip
            advance()
    return DeliveryPlan(
        question, brand, log.currency, tables.at, segments, tuple(notes["note"].to_pylist()), predicted[2], made,
        expected, learned, sought, (models.tags.version, models.conversion.version), curve,
    )  # fmt: skip


@contextmanager
def plan_tables(log: EventLog, at: int) -> Iterator[PlanTables]:
    """Open the log as of an instant; nobody is erased meanwhile."""
    reading = Shared(log.settings.work_dir / READING_LOCK)
    con = log.connect()
    try:
        yield PlanTables(
            con=con,
            events=log.events(con, log.version).filter(f"event_time < {at} and arrived_at <= {at}"),
            identities=log.table(con, "identities").to_arrow_table(),
            notes=log.table(con, "notes").to_arrow_table(),
            items=log.table(con, "items").to_arrow_table(),
            note_items=log.table(con, "note_items").to_arrow_table(),
            campaigns=log.table(con, "campaigns").to_arrow_table(),
            assignments=log.table(con, "assignments").to_arrow_table(),
            timezone=log.timezone,
            at=at,
        )
    finally:
        con.close()
        del reading


def _least(plan: Plan) -> float:
    return _FEWEST_PRICED * float(plan.market.cost.min())


def champions(settings: Settings) -> PlanModels:
    """Return the models that serve, once they are found whole."""
    tags, conversion = champion_path(settings, TAGS), champion_path(settings, CONVERSION)
    for folder, kind in ((tags, TAGS), (conversion, CONVERSION)):
        verify_bundle(folder, kind)
    return PlanModels(load_bundle(tags), load_conversion_bundle(conversion), scoring_tags(settings))


def _campaign(tables: PlanTables, campaign: str) -> tuple[str, pa.Table]:
    """Return the campaign's brand and its notes."""
    brands = dict(zip(tables.campaigns["campaign"].to_pylist(), tables.campaigns["brand"].to_pylist(), strict=True))
    if campaign not in brands:
        raise TrainingError("the log has no such campaign", value=campaign, valid=sorted(brands))
    notes = tables.notes.filter(pc.equal(tables.notes["campaign"], campaign)).sort_by("note")
    if not notes.num_rows:
        raise TrainingError(
            "the campaign has no notes, so there is nothing to show",
            value=campaign,
            next_step="import notes that name their campaign",
        )
    brand = brands[campaign] or next(iter(_names(notes, "brand")), None)
    if brand is None:
        raise TrainingError(
            "neither the campaign nor its notes name a brand, so nobody's purchases can be counted", value=campaign
        )
    return brand, notes


def _names(notes: pa.Table, column: str) -> list[str]:
    return sorted(name for name in pc.unique(notes[column]).to_pylist() if name)


def _costs(who: Delivered, platforms: tuple[str, ...], campaign: str) -> Floats:
    """Return the mean cost of an impression by platform: of the campaign where it has one, else of all."""
    own = who.table.filter(pc.fill_null(pc.equal(who.table["campaign"], campaign), False))
    found = []
    for platform in platforms:
        for table in (own, who.table):
            here = table.filter(pc.equal(table["platform"], platform))
            cost, priced = (pc.sum(here[name]).as_py() or 0 for name in ("cost", "priced"))
            if priced >= _FEWEST_PRICED:
                found.append(cost / priced / _MICROS)
                break
        else:
            found.append(np.nan)
    costs = np.array(found)
    if np.isnan(costs).all():
        raise OverlapError(
            "the log does not tell what an impression costs",
            value=sorted(platforms),
            next_step="map cost_micros of paid impressions",
        )
    return np.asarray(np.where(np.isnan(costs), np.nanmean(costs), costs))
