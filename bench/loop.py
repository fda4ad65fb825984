"""The loop in the world: what delivery by retrained models gains over broad delivery, rules, and models left alone.

    python -m bench.loop --json bench/results/loop.json

Every world begins with four weeks of broad delivery. Then each policy fills the same ad slots for twelve weeks,
while every campaign spends per slot what it spends in broad delivery: what differs is who sees which of its notes.

- ``broad`` shows ads by their bids; ``rule`` aims at recent buyers of the category and at those who lately clicked
  notes of it.
- ``frozen`` learns once, when the four weeks are over; ``retrained`` learns again every week. Both value a note by
  the probability of the last step towards a purchase that was taken often enough to be learned, by the conversion
  model over the features that a served answer reads, and fill 5 % of the slots as broad delivery does.
- ``oracle`` knows how everybody responds; ``observable oracle`` fits trees on these true values, without noise and
  of all twelve weeks, over the same features: what nobody can do much better who sees no more.

Caused purchases are the world's own: what would not have been bought had house ads stood in the campaigns' slots.
Every figure is compared within a world; intervals are of Student's t over the worlds. Each run is kept in
``--folder`` and not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from scipy import stats

from bench.harness import report, write_json
from bench.loop_run import POLICIES, WEEKS, Lived

Weekly = dict[str, list[float]]
LAST_WEEKS = 4
PUBLISHED = {
    "click_rate": 0.20, "engagement": 1.09, "store_entry beauty": 0.415, "store_entry sports & outdoor": 0.85
}  # fmt: skip
"""Lifts over ordinary delivery that the first published cooperation of this kind reported."""


def main() -> None:
    """Live, compare, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.loop")
    parser.add_argument("--people", type=int, default=1_500)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("var/bench-loop"), help="keeps what was lived")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    worlds = []
    for seed in track(range(1, options.seeds + 1), "worlds", console=Console(stderr=True)):
        worlds.append(lived(seed, options.people, options.weeks, options.threads, options.folder))
    figures = {"people": options.people, "seeds": options.seeds, "weeks": options.weeks} | compared(worlds)
    report(
        f"{options.seeds} worlds of {options.people:,} people, {options.weeks} weeks", figures["policies"], COLUMNS
    )
    report("caused purchases per spend, with 95 % intervals", figures["differences"], ["lift", "low", "high"])
    verticals = {name: {"lift": lift} for name, lift in figures["store_entry_lift"].items()}
    report("store entries per impression, retrained over broad", verticals, ["lift"])
    write_json(options.json, figures | {"published": PUBLISHED})


COLUMNS = ("caused_per_1000", "lift", "click_rate", "engagement", "store_entry", "hides_per_1000", "spent")


def lived(seed: int, people: int, weeks: int, threads: int, folder: Path) -> dict[str, Weekly]:
    """Return what each policy did in one world; what was lived before is read."""
    folder.mkdir(parents=True, exist_ok=True)
    world: Lived | None = None
    found = {}
    for policy in POLICIES:
        kept = folder / f"{people}-{weeks}-{seed}-{policy.replace(' ', '-')}.json"
        if not kept.exists():
            world = world or Lived(seed, people, weeks, threads)
            kept.write_text(json.dumps(world.under(policy)))
        found[policy] = json.loads(kept.read_text())
    return found


def compared(worlds: list[dict[str, Weekly]]) -> dict[str, Any]:
    """Return every figure of the bench from the weeks of each world and policy."""
    per_spend = {policy: [_per_spend(world[policy]) for world in worlds] for policy in POLICIES}
    lift = {policy: statistics.fmean(_ratios(per_spend[policy], per_spend["broad"])) for policy in POLICIES}
    last = {policy: [_per_spend(world[policy], LAST_WEEKS) for world in worlds] for policy in POLICIES}
    hides = {policy: [_rate(world[policy], "hide") for world in worlds] for policy in POLICIES}
    ours = lift["retrained"] - 1
    verticals = sorted(name.split(" ", 1)[1] for name in worlds[0]["broad"] if name.startswith("store_visit "))
    return {
        "policies": {policy: _figures(worlds, policy) | {"lift": lift[policy] - 1} for policy in POLICIES},
        "differences": {
            "retrained over broad": _interval(per_spend["retrained"], per_spend["broad"]),
            "retrained over rule": _interval(per_spend["retrained"], per_spend["rule"]),
            f"retrained over frozen, last {LAST_WEEKS} weeks": _interval(last["retrained"], last["frozen"]),
            "retrained over frozen": _interval(per_spend["retrained"], per_spend["frozen"]),
            "observable oracle over retrained": _interval(per_spend["observable oracle"], per_spend["retrained"]),
            "hides per impression, retrained over broad": _interval(hides["retrained"], hides["broad"]),
        },
        "retrained_vs_broad": _interval(per_spend["retrained"], per_spend["broad"])["lift"],
        "retrained_vs_rule": _interval(per_spend["retrained"], per_spend["rule"])["lift"],
        "retrained_vs_frozen": _interval(last["retrained"], last["frozen"])["lift"],
        "hides_vs_broad": _interval(hides["retrained"], hides["broad"])["lift"],
        "share_of_observable_oracle": ours / (lift["observable oracle"] - 1),
        "share_of_oracle": ours / (lift["oracle"] - 1),
        "store_entry_lift": {vertical: _entries(worlds, vertical) for vertical in verticals},
        "click_rate_lift": _lift(worlds, "click"),
        "engagement_lift": _lift(worlds, "engaged"),
    }


def _figures(worlds: list[dict[str, Weekly]], policy: str) -> dict[str, float]:
    def mean(values: list[float]) -> float:
        return statistics.fmean(values)

    return {
        "caused_per_1000": 1000 * mean([_per_spend(world[policy]) for world in worlds]),
        "click_rate": mean([_rate(world[policy], "click") for world in worlds]),
        "engagement": mean([_rate(world[policy], "engaged") for world in worlds]),
        "store_entry": mean([_rate(world[policy], "store_visit") for world in worlds]),
        "hides_per_1000": 1000 * mean([_rate(world[policy], "hide") for world in worlds]),
        "spent": mean([sum(world[policy]["spent"]) / sum(world["broad"]["spent"]) for world in worlds]),
    }


def _per_spend(weeks: Weekly, last: int = 0) -> float:
    return sum(weeks["caused"][-last:]) / sum(weeks["spent"][-last:])


def _rate(weeks: Weekly, kind: str, of: str = "impression") -> float:
    seen = sum(weeks.get(of, [0.0]))
    return sum(weeks.get(kind, [0.0])) / seen if seen else math.nan


def _lift(worlds: list[dict[str, Weekly]], kind: str) -> float:
    ratios = [_rate(world["retrained"], kind) / _rate(world["broad"], kind) for world in worlds]
    return statistics.fmean(ratios) - 1


def _entries(worlds: list[dict[str, Weekly]], vertical: str) -> float:
    """Return the lift of store entries per impression in a vertical over all worlds: few worlds hold many."""

    def rate(policy: str) -> float:
        entered, seen = (
            sum(sum(world[policy].get(f"{kind} {vertical}", [])) for world in worlds)
            for kind in ("store_visit", "impression")
        )
        return entered / seen if seen else math.nan

    return rate("retrained") / rate("broad") - 1


def _ratios(a: list[float], b: list[float]) -> list[float]:
    return [one / other for one, other in zip(a, b, strict=True)]


def _interval(a: list[float], b: list[float]) -> dict[str, float]:
    """Return by how much the first is larger, as a share of the second: Student's t on the worlds' ratios."""
    lifts = [ratio - 1 for ratio in _ratios(a, b)]
    mean = statistics.fmean(lifts)
    if len(lifts) == 1:
        return {"lift": mean, "low": math.nan, "high": math.nan}
    half = float(stats.t.ppf(0.975, len(lifts) - 1)) * statistics.stdev(lifts) / math.sqrt(len(lifts))
    return {"lift": mean, "low": mean - half, "high": mean + half}


if __name__ == "__main__":
    main()
