"""What delivery plans cause in worlds whose truth is known, beside broad delivery at the same spend.

    python -m bench.plan --json bench/results/plan.json

Each world begins with six and a half weeks of broad delivery, of which log, tag models and conversion models are
made as ``zhongcao import world``, ``train tags`` and ``train conversion`` make them. Then every second campaign
that is running is planned for two weeks with what it spends in broad delivery, and the same weeks pass three times:
under the plans, under broad delivery, and without those campaigns; other campaigns are delivered by their bids. Two
more weeks of broad delivery follow, for purchases to come. What a delivery caused is the world's own count of the
campaigns' caused purchases less that of the weeks without them. Intervals are Student's t over worlds.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import statistics
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import stats

from bench.harness import report, write_json
from features.days import DAY_SECONDS, day_text
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms, load_key
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from features.world.importing import import_world
from features.world.names import account_text
from features.world.people import PLATFORMS
from features.world.policy import BroadPolicy, Choice, Policy, Slots
from features.world.settings import WorldSettings
from features.world.world import World
from features.world.writer import write_world
from serving.jobs.delivery_plan import champions, plan_delivery, plan_tables
from training.bundles.champion import promote
from training.bundles.manifest import CONVERSION
from training.conversion.job import ConversionChoices, ConversionJob
from training.policy.plan_made import DeliveryPlan, PlanQuestion
from training.policy.plan_source import read_reachable
from training.steps import Steps
from training.tags.job import JobSettings, TagJob

BEFORE, PLANNED, AFTER = 45, 14, 14
_FULL = 0.95
_MOST_EXAMPLES = 60_000


@dataclass(frozen=True)
class Planned:
    """A plan, and the audience of each of the world's people."""

    plan: DeliveryPlan
    audience: NDArray[np.int64]


class PlannedPolicy:
    """Shows planned notes with the plans' shares up to their caps, and other campaigns by their bids.

    Parameters
    ----------
    plans
        May be empty: then planned campaigns are shown to nobody.
    left_out
        Campaigns that are shown by plans only.
    """

    name = "plan"

    def __init__(self, plans: list[Planned], left_out: list[str]) -> None:
        self._plans, self._left_out = plans, set(left_out)
        self._seen: dict[str, NDArray[np.int64]] = {}

    def choose(self, slots: Slots) -> Choice:
        """Choose by the plan of each campaign."""
        found = slots.candidates
        own = np.array([name in self._left_out for name in found.campaign_names])
        bids = np.where(own, 0.0, found.bid)
        chances = np.zeros((len(slots), len(own)))
        place = {name: column for column, name in enumerate(found.names)}
        for planned in self._plans:
            plan = planned.plan
            at = np.array([plan.platforms.index(p) if p in plan.platforms else -1 for p in PLATFORMS])[
                slots.platform
            ]
            audience = planned.audience[slots.person]
            share, cap = plan.plan.share, plan.plan.market.cap
            for number, note in enumerate(plan.notes):
                if note in place:
                    seen = self._seen.setdefault(note, np.zeros(len(planned.audience), np.int64))[slots.person]
                    open_ = (at >= 0) & (seen < cap)
                    chances[:, place[note]] = np.where(open_, share[audience, number, at], 0.0)
        planned_share = chances.sum(axis=1)
        chances *= np.minimum(1.0, _FULL / np.maximum(planned_share, 1e-12))[:, None]
        rest = bids if bids.any() else found.bid.astype(float)
        chances += (1 - chances.sum(axis=1))[:, None] * rest / rest.sum()
        edges = np.cumsum(chances, axis=1)
        chosen = np.minimum((edges <= slots.draw[:, None] * edges[:, -1:]).sum(axis=1), len(own) - 1)
        for note, seen in self._seen.items():
            if note in place:
                np.add.at(seen, slots.person[chosen == place[note]], 1)
        return Choice(chosen, chances[np.arange(len(slots)), chosen] / edges[:, -1])


def lived(seed: int, people: int, threads: int) -> dict[str, Any]:
    """Return what plans, broad delivery and none brought in one world."""
    days = BEFORE + PLANNED + AFTER
    world = World(WorldSettings(people=people, days=days, campaigns=days // 4, seed=seed))
    for day in range(BEFORE):
        world.step(day, BroadPolicy())
    campaigns = world.campaigns
    running = np.flatnonzero((campaigns.first_day <= BEFORE) & (campaigns.last_day >= BEFORE + PLANNED // 2))[::2]
    names = [campaigns.names[number] for number in running]
    broad = _weeks(world, BroadPolicy, running)
    left = np.minimum(campaigns.last_day[running] + 1 - BEFORE, PLANNED)
    with tempfile.TemporaryDirectory() as home:
        plans = _plans(world, Path(home), threads, list(zip(names, broad["spends"], left.tolist(), strict=True)))
    found = {
        "plan": _weeks(world, lambda: PlannedPolicy(plans, names), running),
        "broad": broad,
        "none": _weeks(world, lambda: PlannedPolicy([], names), running),
    }
    return found | {
        "campaigns": len(names),
        "expected": sum(one.plan.expected.caused for one in plans),
        "expected_lift": sum(one.plan.expected.caused for one in plans)
        / sum(one.plan.expected.broad for one in plans),
        "gap": max(one.plan.plan.gap for one in plans),
    }


def _weeks(world: World, policy: Callable[[], Policy], running: NDArray[np.int64]) -> dict[str, Any]:
    then = deepcopy(world)
    chosen, seen, hidden = policy(), 0, 0
    mine = [then.notes.names[note] for note in np.flatnonzero(np.isin(then.notes.campaign, running))]
    for day in range(BEFORE, BEFORE + PLANNED + AFTER):
        events = then.step(day, chosen if day < BEFORE + PLANNED else BroadPolicy()).events
        if day < BEFORE + PLANNED:
            kinds = events.filter(pc.is_in(events["note"], pa.array(mine)))["kind"]
            seen += int(pc.sum(pc.equal(kinds, "impression")).as_py() or 0)
            hidden += int(pc.sum(pc.equal(kinds, "hide")).as_py() or 0)
    spends = then.spent[running, BEFORE : BEFORE + PLANNED].sum(axis=1) / 1e6
    return {
        "caused": float(then.caused["campaign"][0].purchases[running, BEFORE:].sum()),
        "spends": spends.tolist(),
        "spent": float(spends.sum()),
        "impressions": seen,
        "hides": hidden,
    }


def _plans(world: World, home: Path, threads: int, asked: list[tuple[str, float, int]]) -> list[Planned]:
    """Plan campaigns on a home whose log ends in a later week, as of the day on which the plans begin."""
    settings = Settings(home=home / "home", mlruns=home / "mlruns", threads=threads)
    write_world(world.settings, BroadPolicy(), home / "world")
    import_world(settings, home / "world")
    steps = Steps(Console(file=io.StringIO()))
    at = world.settings.begin + BEFORE * DAY_SECONDS
    promote(
        settings,
        TagJob(
            settings, load_taxonomy(home / "world" / "taxonomy.toml"), at, JobSettings(most_instants=2), steps
        ).train(),
    )
    promote(
        settings,
        ConversionJob(settings, at, ConversionChoices(most_examples=_MOST_EXAMPLES), steps).train(),
        kind=CONVERSION,
    )
    models, found = champions(settings), []
    for campaign, budget, days in asked:
        question = PlanQuestion(campaign, budget, days=days, as_of=day_text(at, "UTC"))
        plan = plan_delivery(settings, question, steps, models)
        found.append(Planned(plan, _audience(world, settings, plan)))
    return found


def _audience(world: World, settings: Settings, plan: DeliveryPlan) -> NDArray[np.int64]:
    """Return the audience of each of the world's people; the last one's for those whom the plan did not look at."""
    log = EventLog.open(settings)
    with plan_tables(log, plan.at) as tables:
        who = read_reachable(tables, plan.question.campaign, most=plan.question.most, seed=plan.question.seed)
    audience = np.full(len(who.persons), len(plan.segments) - 1)
    for number, segment in enumerate(plan.segments):
        audience[segment.rows] = number
    of = {
        account: audience[person]
        for account, person in zip(who.table["account"].to_pylist(), who.table["person"].to_pylist(), strict=True)
        if person >= 0
    }
    names, content = Pseudonyms(load_key(settings)), world.people.content.astype(np.int64)
    accounts = account_text(content, world.people.number).to_pylist()
    keys = [names.accounts(PLATFORMS[p], [a])[0] for p, a in zip(content.tolist(), accounts, strict=True)]
    return np.array([of.get(key, len(plan.segments) - 1) for key in keys], np.int64)


def compared(worlds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return every figure of the bench from what was lived."""

    def per_spend(world: dict[str, Any], policy: str) -> float:
        return float((world[policy]["caused"] - world["none"]["caused"]) / world[policy]["spent"])

    def hides(world: dict[str, Any], policy: str) -> float:
        return float(world[policy]["hides"] / world[policy]["impressions"])

    return {
        "caused_per_1000": {
            policy: 1000 * statistics.fmean(per_spend(world, policy) for world in worlds)
            for policy in ("plan", "broad")
        },
        "lift": _interval([per_spend(world, "plan") / per_spend(world, "broad") - 1 for world in worlds]),
        "pooled_lift": _pooled(worlds),
        "difference_per_1000": _interval(
            [1000 * (per_spend(world, "plan") - per_spend(world, "broad")) for world in worlds]
        ),
        "hides_lift": _interval([hides(world, "plan") / hides(world, "broad") - 1 for world in worlds]),
        "spent_beside_broad": statistics.fmean(
            world["plan"]["spent"] / world["broad"]["spent"] for world in worlds
        ),
        "expected_lift": statistics.fmean(world["expected_lift"] - 1 for world in worlds),
        "expected_beside_caused": sum(world["expected"] for world in worlds)
        / sum(world["plan"]["caused"] - world["none"]["caused"] for world in worlds),
        "largest_gap": max(world["gap"] for world in worlds),
    }


def _pooled(worlds: list[dict[str, Any]]) -> float:
    def rate(policy: str) -> float:
        caused = sum(world[policy]["caused"] - world["none"]["caused"] for world in worlds)
        return float(caused / sum(world[policy]["spent"] for world in worlds))

    return rate("plan") / rate("broad") - 1


def _interval(values: list[float]) -> dict[str, float]:
    mean = statistics.fmean(values)
    if len(values) == 1:
        return {"mean": mean, "low": math.nan, "high": math.nan}
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def main() -> None:
    """Live, compare, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan")
    parser.add_argument("--people", type=int, default=1_500)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("var/bench-plan"), help="keeps what was lived")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    worlds = []
    for seed in track(range(1, options.seeds + 1), "worlds", console=Console(stderr=True)):
        kept = options.folder / f"{options.people}-{seed}.json"
        if not kept.exists():
            kept.write_text(json.dumps(lived(seed, options.people, options.threads)))
        worlds.append(json.loads(kept.read_text()))
    figures = {"people": options.people, "seeds": options.seeds} | compared(worlds)
    report(
        f"{options.seeds} worlds of {options.people:,} people: plan beside broad delivery",
        {name: figures[name] for name in ("lift", "difference_per_1000", "hides_lift")}, ["mean", "low", "high"],
    )  # fmt: skip
    write_json(options.json, figures | {"worlds": worlds})


if __name__ == "__main__":
    main()
