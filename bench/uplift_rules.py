"""Which learner to take where nobody names one: made-up trials whose effects are known, common and rare outcomes.

A trial has 24,000 people, half of them treated, eight columns, and one of five mechanisms: the treatment
multiplies everybody's odds by the same factor (`odds`), by factors that follow other columns (`odds_by_columns`),
adds to the probability what follows other columns (`added`), changes those most who are least likely to have the
outcome (`persuadable`), or changes nearly only a half of the people (`segment`). Learners are fitted as the
command does, with three folds, and rank 12,000 other people of the same kind; a figure is the area under their
true effects in that order, less a random order's, over that of the best order. `lowest_loss` is the learner of the
three with the lowest R-loss on the folds, `mean_s_x` the mean of S and X.

    python -m bench.uplift_rules --json PATH
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.harness import write_json
from training.uplift.choice import r_losses
from training.uplift.learners import LEARNERS

PEOPLE: Final = 24_000
OTHERS: Final = 12_000
FOLDS: Final = 3
RATES: Final = (0.005, 0.01, 0.02, 0.08)
RARE: Final = 0.02
MECHANISMS: Final = ("odds", "odds_by_columns", "added", "persuadable", "segment")
RULES: Final = ("s", "t", "x", "lowest_loss", "mean_s_x")


class MadeTrials:
    """Trials of one kind; the columns' weights are drawn anew for each seed."""

    def __init__(self, seed: int, rate: float, mechanism: str) -> None:
        self.rng = np.random.default_rng([seed, round(rate * 10_000), MECHANISMS.index(mechanism)])
        self.rate, self.mechanism = rate, mechanism
        self.risk, self.other = self.rng.normal(size=8), self.rng.normal(size=8) * (self.rng.random(8) < 0.4)
        self.crossed, self.stepped = self.rng.normal(), 2 * self.rng.normal()
        self.spread = self.rng.uniform(0.5, 1.1)

    def draw(self, people: int) -> tuple[Any, Any, Any, Any]:
        """Return columns, whether treated, outcomes and true effects."""
        rng = self.rng
        X = np.column_stack(
            [rng.normal(size=(people, 3)), rng.random((people, 2)), rng.random((people, 3)) < [0.5, 0.3, 0.15]]
        )
        risk = _standardised(X @ self.risk + self.crossed * X[:, 0] * X[:, 5])
        other = _standardised(X @ self.other + self.stepped * (X[:, 2] > 0.5))
        level = np.log(self.rate / (1 - self.rate)) + self.spread * risk - self.spread**2 / 2
        without = _chance(level)
        treated = {
            "odds": lambda: _chance(level + 0.5),
            "odds_by_columns": lambda: _chance(level + 0.4 + 0.4 * other),
            "added": lambda: np.clip(without + self.rate * (0.4 + 0.4 * other), self.rate * 0.02, 0.95),
            "persuadable": lambda: _chance(level + 0.5 - 0.45 * risk),
            "segment": lambda: _chance(level + 0.05 + 0.9 * (X[:, 5] > 0)),
        }[self.mechanism]()
        arm = rng.integers(0, 2, people)
        outcome = rng.random(people) < np.where(arm == 1, treated, without)
        return X, arm, outcome.astype(np.float64), treated - without


def true_qini(scores: Any, effects: Any) -> float:
    """Return the area under the true effects in the order of scores, less that of a random order."""
    _, tie, size = np.unique(-scores, return_inverse=True, return_counts=True)
    even = (np.bincount(tie, effects) / size)[tie][np.argsort(-scores, kind="stable")]
    gained = np.append(0, np.cumsum(even)) / len(even)
    return float(np.trapezoid(gained, dx=1 / len(even)) - gained[-1] / 2)


def shares_of_best(trials: MadeTrials, seed: int) -> dict[str, float]:
    """Return how much of the best order's area each rule reaches on one trial."""
    X, arm, y, _ = trials.draw(PEOPLE)
    others, _, _, effects = trials.draw(OTHERS)
    learners = {name: kind(control=0, folds=FOLDS, seed=seed) for name, kind in LEARNERS.items()}
    losses = dict(zip(learners, r_losses(list(learners.values()), X, arm, y, seed=seed), strict=True))
    scores = {name: learner.fit(X, arm, y).predict(others) for name, learner in learners.items()}
    scores["lowest_loss"] = scores[min(losses, key=lambda name: losses[name])]
    scores["mean_s_x"] = (scores["s"] + scores["x"]) / 2
    best = true_qini(effects, effects)
    return {name: true_qini(scores[name], effects) / best for name in RULES}


def _standardised(values: Any) -> Any:
    return (values - values.mean()) / max(values.std(), 1e-9)


def _chance(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means by rate and mechanism, and how far each rule is above the lowest loss, with standard errors."""
    found: dict[str, Any] = {"trials": len(rows), "people": PEOPLE}
    for rule in RULES:
        above = {
            name: np.array([row[rule] - row["lowest_loss"] for row in rows if row["rate"] <= most])
            for name, most in (("all", 1.0), ("rare", RARE))
        }
        found[rule] = {
            "mean": float(np.mean([row[rule] for row in rows])),
            "least": float(np.min([row[rule] for row in rows])),
            "by_rate": {str(rate): _mean(rows, rule, "rate", rate) for rate in RATES},
            "by_mechanism": {name: _mean(rows, rule, "mechanism", name) for name in MECHANISMS},
            "above_lowest_loss": {
                name: [float(values.mean()), float(values.std() / np.sqrt(len(values)))]
                for name, values in above.items()
            },
        }
    return found


def _mean(rows: list[dict[str, Any]], rule: str, by: str, value: Any) -> float:
    return float(np.mean([row[rule] for row in rows if row[by] == value]))


def show(found: dict[str, Any]) -> None:
    """Print one line per rule."""
    table = Table(title=f"share of the best order, {found['trials']} made-up trials", title_justify="left")
    for heading in ("", "all", "above the lowest loss", "least", *(f"{rate:.1%}" for rate in RATES)):
        table.add_column(heading, justify="left" if not heading else "right")
    for rule in sorted(RULES, key=lambda name: -found[name]["mean"]):
        row = found[rule]
        above, error = row["above_lowest_loss"]["all"]
        rates = [f"{row['by_rate'][str(rate)]:.3f}" for rate in RATES]
        table.add_row(rule, f"{row['mean']:.3f}", f"{above:+.3f} ± {error:.3f}", f"{row['least']:.2f}", *rates)
    Console(width=120).print(table)


def main() -> None:
    """Rank people of made-up trials by every rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trials of each kind")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    kinds = [
        (seed, rate, mechanism)
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for rate in RATES
        for mechanism in MECHANISMS
    ]
    rows: list[dict[str, Any]] = []
    for seed, rate, mechanism in track(kinds, "trials"):
        shares = shares_of_best(MadeTrials(seed, rate, mechanism), seed)
        rows.append({"seed": seed, "rate": rate, "mechanism": mechanism, **shares})
    found = summary(rows)
    show(found)
    write_json(arguments.json, found | {"rows": rows})


if __name__ == "__main__":
    main()
