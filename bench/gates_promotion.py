"""The gate of promotions: challengers that are worse, better and as good, made from one real model's probabilities.

The model is the product's own, trained on a simulated log (2,500 people, 75 days, 40 tags), and the window is the
last one that is over. Each challenger meets the champion on another 80 % of the people. Better: the log odds are
moved by the likelihood ratio of a noisy look at the outcome, so that AUC rises by 0.01 and probabilities stay
calibrated. Worse: noise that takes 0.01 of AUC, calibrated again; all probabilities × 1.3, with and without a
better ranking; a better ranking but for one slice, which loses 0.05. As good: champion and challenger are both the
model with noise of their own in the log odds. Beside the gate stand two that many use: promote where the AUC is
higher, or where the log loss is lower.

    python -m bench.gates --part promotion --json PATH
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import track

from bench.harness import report
from features.days import DAY_SECONDS
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from training.gates.promotion import Sides, Verdict, judge
from training.gates.promotion_contest import Contest, Mask
from training.quality.bootstrap import paired_bootstrap
from training.quality.calibration import fit_platt, logit, sigmoid
from training.quality.metrics import Floats, Labels, macro_metrics
from training.source import open_source
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.job import JobSettings, TagJob
from training.tags.slices import platforms_of, slice_masks
from training.tags.windows import WindowBuilder

EACH: Final = 50
SHARE: Final = 0.8
ALIKE: Final = 0.15
"""Standard deviation of the noise in the log odds of models that are as good."""
STEP: Final = 0.01
"""Of the AUC, that a planted model is better or worse by."""


@dataclass(frozen=True)
class Scored:
    """One real model on one window."""

    labels: Labels
    probabilities: Floats
    assign_at: Floats
    slices: dict[str, Mask]

    @property
    def auc(self) -> float:
        """Macro AUC of the model."""
        return macro_metrics(self.labels, self.probabilities).macro_auc


def real_model(home: Path) -> Scored:
    """Simulate a log and train the model, unless the home holds them, and score its window."""
    settings = Settings(home=home / "home", mlruns=home / "mlruns", threads=2)
    world = WorldSettings(people=2_500, days=75, seed=1, campaigns=6)
    if not settings.log_dir.exists():
        write_world(world, BroadPolicy(), home / "world")
        import_world(settings, home / "world")
    bundles = sorted(settings.bundles_dir.glob("tags-*"))
    if not bundles:
        taxonomy = load_taxonomy(home / "world" / "taxonomy.toml")
        end = world.begin + world.days * DAY_SECONDS
        bundles = [TagJob(settings, taxonomy, end - 15 * DAY_SECONDS, JobSettings(), Steps()).train()]
    bundle = load_bundle(bundles[0])
    model, source = bundle.model, open_source(settings)
    builder = WindowBuilder(source, bundle.taxonomy, bundle.layout, settings.work_dir / "windows")
    window = builder.build(bundle.as_of, source.last + 1)
    rows, active = np.asarray(window.rows), model.active
    labels = window.outcomes[:, active]
    platforms = platforms_of(source.events, builder.spine(bundle.as_of))
    masks = slice_masks(model.view, rows, active, labels, platforms)
    slices = {f"{of}: {name}": np.asarray(mask) for of, name, mask in masks}
    return Scored(labels, model.predict(rows, threads=2)[:, active], model.assign_at[active], slices)


def looked(world: Scored, strength: float, rng: np.random.Generator) -> Floats:
    """Return the probabilities after a look at y · strength + noise: Bayes' rule keeps them calibrated."""
    seen = world.labels * strength + rng.standard_normal(world.labels.shape)
    return sigmoid(logit(world.probabilities) + strength * seen - strength**2 / 2)


def noised(world: Scored, size: float, rng: np.random.Generator) -> Floats:
    """Return the probabilities with noise in their log odds, calibrated again on the window itself."""
    z = logit(world.probabilities) + size * rng.standard_normal(world.labels.shape)
    return fit_platt(z, world.labels).apply(z)


def strength_for(world: Scored, make: Callable[[Scored, float, np.random.Generator], Floats], step: float) -> float:
    """Return how strong a change must be to move the macro AUC by so much."""
    low, high = 0.0, 4.0
    for _ in range(10):
        middle = (low + high) / 2
        moved = abs(
            macro_metrics(world.labels, make(world, middle, np.random.default_rng(1))).macro_auc - world.auc
        )
        low, high = (middle, high) if moved < step else (low, middle)
    return high


def challengers(world: Scored) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Yield group, kind, and what champion and challenger say, 50 of each group."""
    better = strength_for(world, looked, STEP)
    worse = strength_for(world, noised, STEP)
    names = [name for name, mask in world.slices.items() if mask.mean() >= 0.05]
    print(f"strengths: better {better:.3g}, worse {worse:.3g}; {len(names)} slices")
    for number in range(EACH):
        rng = np.random.default_rng([number, 20240501])
        champion = world.probabilities
        match number % 4:
            case 0:
                yield "worse", "AUC −0.01", champion, noised(world, worse, rng)
            case 1:
                yield "worse", "× 1.3", champion, np.minimum(1.3 * champion, 1 - 1e-6)
            case 2:
                yield "worse", "AUC +0.01, × 1.3", champion, np.minimum(1.3 * looked(world, better, rng), 1 - 1e-6)
            case _:
                name = names[number // 4 % len(names)]
                mask = world.slices[name]
                bad = np.broadcast_to(mask if mask.ndim == 2 else mask[:, None], world.labels.shape)
                yield (
                    "worse",
                    "AUC +0.01, one slice −0.05",
                    champion,
                    np.where(bad, spoilt(world, bad, rng), looked(world, better, rng)),
                )
        yield "better", "AUC +0.01", champion, looked(world, better, rng)
        yield "equal", "noise of their own", noised(world, ALIKE, rng), noised(world, ALIKE, rng)


def spoilt(world: Scored, bad: Mask, rng: np.random.Generator) -> Floats:
    """Return probabilities with noise that takes 0.05 of the slice's AUC over its pairs."""
    inside = replace(world, labels=world.labels[bad][:, None], probabilities=world.probabilities[bad][:, None])
    found = world.probabilities.copy()
    found[bad] = noised(inside, strength_for(inside, noised, 5 * STEP), rng)[:, 0]
    return found


def meet(world: Scored, champion: Floats, challenger: Floats, seed: int) -> Verdict:
    """Let two models meet on a part of the people."""
    people = np.sort(np.random.default_rng(seed).permutation(len(world.labels))[: int(SHARE * len(world.labels))])
    contest = Contest(
        columns=tuple(f"tag {number}" for number in range(world.labels.shape[1])),
        labels=world.labels[people],
        champion=champion[people],
        challenger=challenger[people],
        person=people,
        slices={name: mask[people] for name, mask in world.slices.items()},
        chosen=(champion[people] >= world.assign_at, challenger[people] >= world.assign_at),
    )
    return judge(contest, Sides("the champion", "the challenger", 0, 0, 0, 1))


def measure(home: Path | None = None) -> dict[str, object]:
    """Let 150 challengers meet their champions."""
    with tempfile.TemporaryDirectory() as scratch:
        world = real_model(home or Path(scratch))
    print(f"{len(world.labels):,} people, {world.labels.shape[1]} tags, macro AUC {world.auc:.4f}")
    rows: dict[str, dict[str, float]] = {}
    groups = {"worse": 0, "better": 0, "equal": 0}
    fails: dict[str, dict[str, int]] = {}
    naive = {f"{group}_promoted_if_{what}": 0 for group in groups for what in ("auc", "log_loss")}
    all_of_them = list(challengers(world))
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        meetings = [
            pool.submit(meet, world, champion, challenger, number)
            for number, (_, _, champion, challenger) in enumerate(all_of_them)
        ]
        verdicts = [meeting.result() for meeting in track(meetings, "challengers")]
    for (group, kind, _, _), verdict in zip(all_of_them, verdicts, strict=True):
        figures = verdict.figures
        by_auc = figures["challenger.macro_auc"] > figures["champion.macro_auc"]
        by_loss = verdict.primary.difference < 0
        row = rows.setdefault(
            f"{group}: {kind}", dict.fromkeys(("challengers", "promoted", "if AUC higher", "if log loss lower"), 0)
        )
        for column, hit in zip(row, (True, verdict.promote, by_auc, by_loss), strict=True):
            row[column] += hit
        groups[group] += verdict.promote
        naive[f"{group}_promoted_if_auc"] += by_auc
        naive[f"{group}_promoted_if_log_loss"] += by_loss
        for check in verdict.report.failed:
            counts = fails.setdefault(f"{group}: {kind}", {})
            counts[check.name] = counts.get(check.name, 0) + 1
    report("Promotions, and what two simpler gates do", rows, list(next(iter(rows.values()))))
    for name, counts in fails.items():
        print(f"{name}: stopped by {counts}")
    return {
        **{f"{group}_promoted": count for group, count in groups.items()},
        **naive,
        "promotion": {
            "people": len(world.labels),
            "tags": int(world.labels.shape[1]),
            "each": EACH,
            "by_kind": rows,
            "failed_checks": fails,
            "z_of_primary": power(world),
        },
    }


def power(world: Scored) -> dict[str, float]:
    """Return, for one better challenger, each figure's difference over the half width of its 95 % interval."""
    better = looked(world, strength_for(world, looked, STEP), np.random.default_rng(3))
    found = paired_bootstrap(world.labels, better, world.probabilities, resamples=200, seed=3)
    widths = {name: abs(d.difference) / ((d.high - d.low) / 2) for name, d in found.items()}
    print("difference over half its interval:", {name: round(width, 2) for name, width in widths.items()})
    return widths
