"""What a conversion model has to beat, trained on what was known at the same instant."""

from __future__ import annotations

from typing import Final

import lightgbm as lgb
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from training.conversion.boosting import Answers, base_logit
from training.conversion.chain import Fitter
from training.conversion.examples import Floats, Known, Matrix
from training.quality.calibration import sigmoid
from training.tags.baselines import signed_log

LOGISTIC_ROWS: Final = 150_000


def base_rates(known: Known, targets: tuple[str, ...], many: int) -> Floats:
    """Return each target's share among all impressions, float64 [many, targets]."""
    rates = []
    for target in targets:
        usable = known.usable(target)
        answers = Answers(known.seen(target)[usable], known.exposure(target)[usable], known.examples.weight[usable])
        rates.append(float(sigmoid(np.array([base_logit(answers)]))[0]))
    return np.tile(rates, (many, 1))


def logistic_regression(known: Known, targets: tuple[str, ...], rows: Matrix, seed: int) -> Floats:
    """Fit one logistic regression per target on signed logs, and return probabilities of rows.

    What was not seen counts by the share of conversions that could be, as for the model.

    Parameters
    ----------
    known
        What was known of the training impressions.
    targets
        What to predict.
    rows
        Impressions to score, float32 [n, F].
    seed
        Chooses the training impressions, all that led to a target and some of the others.
    """
    examples, rng = known.examples, np.random.default_rng(seed)
    columns = []
    for target in targets:
        usable, seen = known.usable(target), known.seen(target)
        hits, others = np.flatnonzero(usable & seen), np.flatnonzero(usable & ~seen)
        if not (len(hits) and len(others)):
            columns.append(base_rates(known, (target,), len(rows))[:, 0])
            continue
        kept = [rng.permutation(part)[: LOGISTIC_ROWS // 2] for part in (hits, others)]
        chosen = np.concatenate(kept)
        stands_for = np.repeat(
            [len(hits) / max(len(kept[0]), 1), len(others) / max(len(kept[1]), 1)], list(map(len, kept))
        )
        weight = examples.weight[chosen] * stands_for * np.where(seen[chosen], 1.0, known.exposure(target)[chosen])
        scaler = StandardScaler()
        x = scaler.fit_transform(signed_log(examples.rows[chosen]))
        model = LogisticRegression(C=1.0, solver="newton-cholesky").fit(x, seen[chosen], weight)
        blocks = np.array_split(np.arange(len(rows)), max(1, len(rows) // 100_000))
        scores = [model.decision_function(scaler.transform(signed_log(rows[block]))) for block in blocks]
        columns.append(sigmoid(np.concatenate(scores)))
    return np.stack(columns, axis=1)


def click_only(fitter: Fitter, targets: tuple[str, ...], rows: Matrix) -> Floats:
    """Return the usual product: a model of clicks times a model that was trained on clicked impressions alone.

    Parameters
    ----------
    fitter
        Fits boosters on what was known.
    targets
        What to predict; ``click`` must be among them.
    rows
        Impressions to score, float32 [n, F].
    """

    def score(fitted: tuple[lgb.Booster, float]) -> Floats:
        booster, start = fitted
        return sigmoid(np.asarray(booster.predict(rows, raw_score=True, num_threads=fitter.threads)) + start)

    clicks = score(fitter.direct("click"))
    columns = [clicks if target == "click" else clicks * score(fitter.chain(target, "click")) for target in targets]
    return np.stack(columns, axis=1)
