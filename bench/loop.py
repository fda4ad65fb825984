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
``--folder`` and not made again. ``--oracles`` lets the oracles, which nothing is decided by, live in the first
worlds only; their shares are of these.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from scipy import stats

from bench.harness import report, write_json
from bench.loop_plot import draw
from bench.loop_run import ORACLES, POLICIES, WEEKS, Lived

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
    parser.add_argument("--oracles", type=int, help="worlds in which the oracles live, all by default")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="draw the weeks into this PNG")
    options = parser.parse_args()
    worlds = []
    oracles = options.seeds if options.oracles is None else options.oracles
    for seed in track(range(1, options.seeds + 1), "worlds", console=Console(stderr=True)):
        policies = POLICIES if seed <= oracles else tuple(name for name in POLICIES if name not in ORACLES)
        given = seed, options.people, options.weeks, options.threads, options.folder
        worlds.append(lived(*given, policies=policies))
    figures = {"people": options.people, "seeds": options.seeds, "weeks": options.weeks} | compared(worlds)
    report(
        f"{options.seeds} worlds of {options.people:,} people, {options.weeks} weeks", figures["policies"], COLUMNS
    )
    report("caused purchases per spend, with 95 % intervals", figures["differences"], ["lift", "low", "high"])
    verticals = {name: {"lift": lift} for name, lift in figures["store_entry_lift"].items()}
    report("store entries per impression, retrained over broad", verticals, ["lift"])
    if options.plot:
        draw(worlds, options.plot)
    write_json(options.json, figures | {"published": PUBLISHED})


COLUMNS = (
    "worlds",
    "caused_per_1000",
    "lift",
    "click_rate",
    "engagement",
    "store_entry",
    "hides_per_1000",
    "spent",
)


def lived(
    seed: int, people: int, weeks: int, threads: int, folder: Path, *, policies: Sequence[str] = ()
) -> dict[str, Weekly]:
    """Return what each policy, all by default, did in one world; what was lived before is read."""
    folder.mkdir(parents=True, exist_ok=True)
    world: Lived | None = None
    found = {}
    for policy in policies or POLICIES:
        kept = folder / f"{people}-{weeks}-{seed}-{policy.replace(' ', '-')}.json"
        if not kept.exists():
            world = world or Lived(seed, people, weeks, threads)
            kept.write_text(json.dumps(world.under(policy)))
        found[policy] = json.loads(kept.read_text())
    return found


def compared(worlds: list[dict[str, Weekly]]) -> dict[str, Any]:
    """Return every figure of the bench from the weeks of each world and policy."""
    ours = _over(worlds, "retrained", "broad")
    seen = [world for world in worlds if set(ORACLES) <= set(world)]
    differences = {
        "retrained over broad": ours,
        "retrained over rule": _over(worlds, "retrained", "rule"),
        f"retrained over frozen, last {LAST_WEEKS} weeks": _over(worlds, "retrained", "frozen", LAST_WEEKS),
        "retrained over frozen": _over(worlds, "retrained", "frozen"),
        "hides per impression, retrained over broad": _interval(
            *([_rate(world[policy], "hide") for world in worlds] for policy in ("retrained", "broad"))
        ),
    }
    shares = {}
    if seen:
        differences["observable oracle over retrained"] = _over(seen, "observable oracle", "retrained")
        gained = _over(seen, "retrained", "broad")["lift"]
        for oracle in ORACLES:
            shares[f"share_of_{oracle.replace(' ', '_')}"] = gained / _over(seen, oracle, "broad")["lift"]
    verticals = sorted(name.split(" ", 1)[1] for name in worlds[0]["broad"] if name.startswith("store_visit "))
    return {
        "policies": {policy: _figures(worlds, policy) for policy in POLICIES if seen or policy not in ORACLES},
        "differences": differences,
        "retrained_vs_broad": ours["lift"],
        "retrained_vs_rule": differences["retrained over rule"]["lift"],
        "retrained_vs_frozen": differences[f"retrained over frozen, last {LAST_WEEKS} weeks"]["lift"],
        "hides_vs_broad": differences["hides per impression, retrained over broad"]["lift"],
        **shares,
        "worlds_with_oracles": len(seen),
        "store_entry_lift": {vertical: _entries(worlds, vertical) for vertical in verticals},
        "click_rate_lift": _lift(worlds, "click"),
        "engagement_lift": _lift(worlds, "engaged"),
    }


def _figures(worlds: list[dict[str, Weekly]], policy: str) -> dict[str, float]:
    mean = statistics.fmean
    worlds = [world for world in worlds if policy in world]
    return {
        "worlds": len(worlds),
        "lift": _over(worlds, policy, "broad")["lift"],
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


def _over(worlds: list[dict[str, Weekly]], one: str, other: str, last: int = 0) -> dict[str, float]:
    """Return by how much more one policy's spend caused than the other's."""
    return _interval(*([_per_spend(world[policy], last) for world in worlds] for policy in (one, other)))


def _interval(a: list[float], b: list[float]) -> dict[str, float]:
    """Return by how much the first is larger, as a share of the second: Student's t on the worlds' ratios."""
    lifts = [one / other - 1 for one, other in zip(a, b, strict=True)]
    mean = statistics.fmean(lifts)
    if len(lifts) == 1:
        return {"lift": mean, "low": math.nan, "high": math.nan}
    half = float(stats.t.ppf(0.975, len(lifts) - 1)) * statistics.stdev(lifts) / math.sqrt(len(lifts))
    return {"lift": mean, "low": mean - half, "high": mean + half}


if __name__ == "__main__":
    main()
