"""Per-tag heads: many small models over wide rows, all on the same binned matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.durable import write_durably
from training.quality.calibration import LOGIT_BOUNDS
from training.quality.metrics import Floats, Labels
from training.saved_booster import AnyBooster
from training.tags.binned import Bins
from training.tags.head_fit import HeadSettings, fingerprint, fit_head
from training.tags.pairs import Matrix

if TYPE_CHECKING:
    from training.compact.forest import CompactForest

Heads = dict[int, lgb.Booster]


class HeadTrainer(Protocol):
    """What trains many heads: one contract, whatever the work is spread over.

    The same bins, labels, settings and seed give the same boosters, byte for byte, from every trainer with any
    number of workers, also where a run was cut off and started again.
    """

    def fit(
        self,
        bins: Bins,
        labels: Labels,
        active: NDArray[np.bool_],
        settings: HeadSettings,
        *,
        seed: int,
        kept: Path | None = None,
        advance: Callable[[], object] = lambda: None,
    ) -> Heads:
        """Train one head for each active tag with enough positives.

        Parameters
        ----------
        bins
            The heads' columns of all training windows' rows.
        labels
            Outcomes, uint8 [n, T].
        active
            Which tags get a head, bool [T].
        settings, seed
            As for `training.tags.head_fit.fit_head`, which says what a head is.
        kept
            Folder where finished heads are left and, by a rerun, found; named by the caller after everything that
            the bins depend on. The caller deletes it when the whole run is done.
        advance
            Called after each head.

        Returns
        -------
        dict
            Tag number → booster, ascending.
        """


@dataclass(frozen=True)
class ThreadedHeads:
    """Trains heads in threads of this process, one tag on each, which LightGBM lets run side by side.

    Memory: the bins once and, for each thread, a copy of the rows that its head is trained on; the boosters are
    some ten kilobytes each.

    Parameters
    ----------
    threads
        Tags trained at once.
    """

    threads: int

    def fit(
        self,
        bins: Bins,
        labels: Labels,
        active: NDArray[np.bool_],
        settings: HeadSettings,
        *,
        seed: int,
        kept: Path | None = None,
        advance: Callable[[], object] = lambda: None,
    ) -> Heads:
        """Train the heads, see `HeadTrainer.fit`."""

        def fit(tag: int) -> tuple[int, lgb.Booster]:
            own = np.ascontiguousarray(labels[:, tag])
            booster = kept_head(kept, own, settings, seed, lambda: fit_head(bins, own, settings, seed=seed))
            advance()
            return tag, booster

        tags = np.flatnonzero(active & settings.learnable(labels)).tolist()
        with ThreadPoolExecutor(self.threads) as pool:
            waiting = [pool.submit(fit, tag) for tag in tags]
            try:
                return dict(job.result() for job in waiting)
            except BaseException:
                # A run that is stopped must not train the heads that wait before it ends.
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def kept_head(
    kept: Path | None, labels: Labels, settings: HeadSettings, seed: int, fit: Callable[[], lgb.Booster]
) -> lgb.Booster:
    """Return the head that an earlier run left in a folder, or train it and leave it there.

    A head is found by its labels, settings and seed, not by the number of its tag: a changed rule trains anew.
    """
    if kept is None:
        return fit()
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = kept / f"{fingerprint(labels, settings, seed)}.txt"
    if file.exists():
        return lgb.Booster(model_str=file.read_text(encoding="utf-8"))
    booster = fit()
    write_durably(file, str(booster.model_to_string()))
    return booster


def head_logits(
    heads: Mapping[int, AnyBooster],
    matrix: Matrix,
    tags: int,
    *,
    threads: int = 1,
    forest: CompactForest | None = None,
) -> Floats:
    """Score every head.

    Parameters
    ----------
    heads
        Tag number → booster.
    matrix
        The heads' columns, float32 [n, columns].
    tags
        Number of all tags.
    threads
        Threads that share the rows.
    forest
        The same heads in the same order, to score them together.

    Returns
    -------
    Floats
        Logits, float64 [n, T]; NaN in the columns of tags without a head.
    """
    out = np.full((len(matrix), tags), np.nan)
    if forest is not None:
        out[:, list(heads)] = forest.raw(matrix, threads=threads)
        return np.asarray(np.clip(out, *LOGIT_BOUNDS))
    for tag, booster in heads.items():
        out[:, tag] = booster.predict(matrix, raw_score=True, num_threads=threads)
    return np.asarray(np.clip(out, *LOGIT_BOUNDS))
