"""The gate of promotions: challengers that are worse, better and as good, made from one real model's probabilities.

The model is trained on Complete Journey as of 2017-11-01, for 200 tags; the window that starts then has been looked
at by other benches, and serves here as a window, not as a test. Each challenger meets the champion on another 80 %
of the households. Better: the log odds are moved by the likelihood ratio of a noisy look at the outcome, so that
AUC rises by 0.01 and probabilities stay calibrated. Worse: noise that takes 0.01 of AUC, calibrated again; all
probabilities × 1.3, with and without a better ranking; a better ranking but for one slice. As good: both are the
model with noise of their own, of the size that another seed makes. Beside the gate stand two that many use: promote
where the AUC is higher, or where the log loss is lower.

    python -m bench.gates --part promotion --json PATH
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import track

from bench.harness import report
from bench.tag_quality import KEY
from features.datasets.complete_journey import import_complete_journey
from features.days import instant_of
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from training.gates.promotion import Sides, Verdict, judge
from training.gates.promotion_contest import Contest, Mask
from training.quality.bootstrap import paired_bootstrap
from training.quality.calibration import fit_platt, logit, sigmoid
from training.quality.metrics import Floats, Labels, macro_metrics
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.fit import TagSettings
from training.tags.job import JobSettings, TagJob
from training.tags.slices import slice_masks

EACH: Final = 50
SHARE: Final = 0.8
STEP: Final = 0.01
"""Of the AUC, that a planted model is better or worse by."""


@dataclass(frozen=True)
class World:
    """One real model on one window."""

    labels: Labels
    probabilities: Floats
    assign_at: Floats
    slices: dict[str, Mask]
    other_seed: Floats

    @property
    def auc(self) -> float:
        """Macro AUC of the model."""
        return macro_metrics(self.labels, self.probabilities).macro_auc


def real_model(home: Path) -> World:
    """Train the model, and another of another seed, and score the window with both."""
    settings = Settings(home=home, mlruns=home / "mlruns", threads=2)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not settings.key_file.exists():
        settings.key_file.touch(mode=0o600)
        settings.key_file.write_bytes(KEY)
    import_complete_journey(settings)
    taxonomy, at = load_taxonomy(Path("examples/complete_journey/categories.toml")), instant_of("2017-11-01")
    said = []
    for seed in (7, 8):
        choices = JobSettings(tags=TagSettings(min_positives=1, seed=seed), kinds=("purchase",))
        job = TagJob(settings, taxonomy, at, choices, Steps())
        window = job.windows([at], job.builder.source.last + 1, "the later window")[0]
        model = load_bundle(job.train()).model
        said.append(model.predict(np.asarray(window.rows), threads=2))
        if seed == 7:
            first = model
    active = first.active
    labels = window.outcomes[:, active]
    masks = slice_masks(first.view, np.asarray(window.rows), active, labels, {})
    slices = {f"{of}: {name}": np.asarray(mask) for of, name, mask in masks}
    return World(labels, said[0][:, active], first.assign_at[active], slices, said[1][:, active])


def looked(world: World, strength: float, rng: np.random.Generator) -> Floats:
    """Return the probabilities after a look at y · strength + noise: Bayes' rule keeps them calibrated."""
    seen = world.labels * strength + rng.standard_normal(world.labels.shape)
    return sigmoid(logit(world.probabilities) + strength * seen - strength**2 / 2)


def noised(world: World, size: float, rng: np.random.Generator) -> Floats:
    """Return the probabilities with noise in their log odds, calibrated again on the window itself."""
    z = logit(world.probabilities) + size * rng.standard_normal(world.labels.shape)
    return fit_platt(z, world.labels).apply(z)


def strength_for(world: World, make: Callable[[World, float, np.random.Generator], Floats], step: float) -> float:
    """Return how strong a change must be to move the macro AUC by so much."""
    low, high = 0.0, 4.0
    for _ in range(14):
        middle = (low + high) / 2
        moved = abs(
            macro_metrics(world.labels, make(world, middle, np.random.default_rng(1))).macro_auc - world.auc
        )
        low, high = (middle, high) if moved < step else (low, middle)
    return high


def seed_noise(world: World) -> float:
    """Return the noise in log odds by which a model of another seed differs from this one, of each of the two."""
    return float((logit(world.other_seed) - logit(world.probabilities)).std() / np.sqrt(2))


def challengers(world: World) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Yield group, kind, and what champion and challenger say, 50 of each group."""
    better = strength_for(world, looked, STEP)
    worse = strength_for(world, noised, STEP)
    alike = seed_noise(world)
    names = [name for name, mask in world.slices.items() if mask.mean() >= 0.05]
    print(f"strengths: better {better:.3g}, worse {worse:.3g}, another seed {alike:.3g}; {len(names)} slices")
    for number in range(EACH):
        rng = np.random.default_rng([number, 20171101])
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
        yield "equal", "another seed", noised(world, alike, rng), noised(world, alike, rng)


def spoilt(world: World, bad: Mask, rng: np.random.Generator) -> Floats:
    """Return probabilities with noise that takes 0.05 of the slice's AUC over its pairs."""
    inside = replace(world, labels=world.labels[bad][:, None], probabilities=world.probabilities[bad][:, None])
    found = world.probabilities.copy()
    found[bad] = noised(inside, strength_for(inside, noised, 5 * STEP), rng)[:, 0]
    return found


def meet(world: World, champion: Floats, challenger: Floats, seed: int) -> Verdict:
    """Let two models meet on a part of the households."""
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
    print(f"{len(world.labels):,} households, {world.labels.shape[1]} tags, macro AUC {world.auc:.4f}")
    rows: dict[str, dict[str, float]] = {}
    groups = {"worse": 0, "better": 0, "equal": 0}
    fails: dict[str, dict[str, int]] = {}
    naive = {f"{group}_promoted_if_{what}": 0 for group in groups for what in ("auc", "log_loss")}
    all_of_them = list(challengers(world))
    for number, (group, kind, champion, challenger) in enumerate(track(all_of_them, "challengers")):
        verdict = meet(world, champion, challenger, number)
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
            "households": len(world.labels),
            "tags": int(world.labels.shape[1]),
            "each": EACH,
            "by_kind": rows,
            "failed_checks": fails,
            "z_of_primary": power(world),
        },
    }


def power(world: World) -> dict[str, float]:
    """Return, for one better challenger, each figure's difference over the half width of its 95 % interval."""
    better = looked(world, strength_for(world, looked, STEP), np.random.default_rng(3))
    found = paired_bootstrap(world.labels, better, world.probabilities, resamples=200, seed=3)
    widths = {name: abs(d.difference) / ((d.high - d.low) / 2) for name, d in found.items()}
    print("difference over half its interval:", {name: round(width, 2) for name, width in widths.items()})
    return widths
