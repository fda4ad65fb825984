"""What more people, and more pairs of people and tags, bring to tag models: quality on others than learned from.

    python -m bench.tag_people --json PATH

A simulated world of `bench.retrain` with 224 tags. Pooled model and heads learn from windows of some of the people,
and are blended and calibrated on their validation window; everything is judged on that window's other people, the
same ones for all. `zhongcao retrain` learns from about `train_people` people of a larger log, and from at most
`PooledSettings.most_pairs` pairs: this is what both bounds cost.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.harness import report, write_json
from bench.retrain_home import AS_OF, fresh_run, made_home
from features.log.event_log import EventLog
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from training.quality.calibration import choose_blend, fit_levels, fit_slope, sigmoid
from training.quality.metrics import macro_metrics
from training.source import present_of
from training.steps import Steps
from training.tags.binned import bin_matrix
from training.tags.head_fit import HeadSettings
from training.tags.heads import Heads, ThreadedHeads, head_logits
from training.tags.job import JobSettings, TagJob
from training.tags.model import blend
from training.tags.pairs import PairView, Window
from training.tags.pooled import PooledSettings, fit_pooled, pooled_logits

HELD_OUT: Final = 5_000
"""People whom nothing is learned from."""
_COLUMNS: Final = ("people", "most_pairs", "auc", "normalised_entropy", "pooled_cpu_s", "heads_cpu_s")
_MIN_POSITIVES: Final = 20


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.tag_people")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-retrain"), help="as of bench.retrain")
    parser.add_argument("--world", type=int, default=50_000, help="people of the world")
    parser.add_argument("--people", type=int, nargs="+", default=(5_000, 10_000, 20_000))
    parser.add_argument("--pairs", type=int, nargs="+", default=(2_000_000, 4_000_000, 12_000_000))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    made_home(options.folder.absolute(), options.world)
    home, tags = fresh_run(options.folder.absolute(), options.world, "people")
    settings = Settings(
        home=home, threads=options.threads, train_people=round(1.05 * (max(options.people) + HELD_OUT))
    )
    job = TagJob(settings, load_taxonomy(tags), present_of(EventLog.open(settings), AS_OF), JobSettings(), Steps())
    study = _Study(job, options.threads)
    # Every number of people with the middle bound of pairs, and every bound with the most people.
    pairs, people = sorted(options.pairs), sorted(options.people)
    middle = pairs[len(pairs) // 2]
    wanted = [(some, middle) for some in people] + [(people[-1], most) for most in pairs if most != middle]
    found: dict[str, dict[str, float]] = {}
    for some, most in wanted:
        found[f"{some:,} people, {most:,} pairs"] = study.learned(some, most)
        report(f"quality on {study.held_out:,} other people", found, _COLUMNS)
        write_json(options.json, {"held_out": study.held_out, "tags": study.tags, "learned": found})


class _Study:
    def __init__(self, job: TagJob, threads: int) -> None:
        self._job, self._threads = job, threads
        self._choose = job.choose_windows()
        self._validation = job.train_windows()[-1]
        self._view = PairView(job.builder.layout, job.taxonomy)
        persons = sorted({person for window in [*self._choose, self._validation] for person in window.persons})
        # Keys are hashes: any stretch of them is a sample.
        self._learning, self._others = persons[:-HELD_OUT], set(persons[-HELD_OUT:])
        test = self._of(self._validation, self._others)
        positives = np.sum([window.outcomes.sum(axis=0) for window in self._choose], axis=0)
        known = test.outcomes
        # Tags that can be judged, and be learned from a fifth of the people.
        self._active = np.asarray((positives >= 5 * _MIN_POSITIVES) & known.any(axis=0) & ~known.all(axis=0))
        self._test = test
        self.held_out, self.tags = len(test.rows), int(self._active.sum())
        self._heads: dict[int, tuple[Heads, float]] = {}

    def learned(self, people: int, most_pairs: int) -> dict[str, float]:
        """Learn from so many people and pairs, and judge it on the others."""
        some = set(self._learning[:people])
        choose, validation = [self._of(window, some) for window in self._choose], self._of(self._validation, some)
        active, threads, heads_at = self._active, self._threads, self._job.builder.layout.head_columns
        started = time.process_time()
        booster, share = fit_pooled(
            self._view, choose, active, replace(PooledSettings(), most_pairs=most_pairs), seed=7, threads=threads
        )
        pooled_done = time.process_time()
        heads, heads_cpu = self._fitted_heads(people, choose)

        def logits(window: Window) -> tuple[Any, Any]:
            pooled = pooled_logits(booster, self._view, window.rows, window.fitted, share, threads=threads)
            own = head_logits(heads, window.rows[:, heads_at], len(active), threads=threads)
            return pooled[:, active], own[:, active]

        outcomes = validation.outcomes[:, active]
        pooled, own = logits(validation)
        shares = choose_blend(pooled, own, outcomes)
        z = blend(pooled, own, shares)
        platt = fit_slope(z, outcomes)
        levels = fit_levels(z, outcomes, platt)
        z = blend(*logits(self._test), shares)
        metrics = macro_metrics(self._test.outcomes[:, active], sigmoid(platt.slope * z + platt.intercept + levels))
        return {
            "people": len(some),
            "most_pairs": most_pairs,
            "auc": metrics.macro_auc,
            "normalised_entropy": metrics.macro_normalised_entropy,
            "pooled_cpu_s": pooled_done - started,
            "heads_cpu_s": heads_cpu,
        }

    def _fitted_heads(self, people: int, choose: Sequence[Window]) -> tuple[Heads, float]:
        """Fit heads once: how many pairs the pooled model learns from is nothing to them."""
        if people not in self._heads:
            started, columns = time.process_time(), self._job.builder.layout.head_columns
            bins = bin_matrix([window.rows for window in choose], columns, max_bin=HeadSettings().max_bin)
            labels = np.concatenate([window.outcomes for window in choose])
            heads = ThreadedHeads(self._threads).fit(bins, labels, self._active, HeadSettings(), seed=7)
            self._heads[people] = heads, time.process_time() - started
        return self._heads[people]

    @staticmethod
    def _of(window: Window, persons: set[str]) -> Window:
        mine = np.fromiter((person in persons for person in window.persons), bool, len(window.persons))
        names: Sequence[str] = [person for person, ours in zip(window.persons, mine, strict=True) if ours]
        return replace(window, persons=names, rows=np.asarray(window.rows[mine]), labels=window.outcomes[mine])


if __name__ == "__main__":
    main()
