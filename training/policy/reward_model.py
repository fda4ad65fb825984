"""Expected rewards of every action, each row's by a model that learned from other persons only."""

from __future__ import annotations

from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from training.policy.off_policy import Floats, Logged

_TREES: Final = {
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "lambda_l2": 5.0,
    "feature_pre_filter": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
_ROUNDS: Final = 80


def expected_rewards(
    logged: Logged,
    context: NDArray[np.float32],
    actions: int,
    *,
    folds: int = 3,
    about: NDArray[np.float32] | None = None,
    seed: int = 7,
    threads: int = 1,
) -> Floats:
    """Predict the reward of every action for every row by LightGBM, cross-fitted by person.

    Parameters
    ----------
    logged
        n choices.
    context
        What was known before each choice, float32 [n, F].
    actions
        How many actions there are.
    folds
        Parts of the persons; each is predicted by a model of the others (Chernozhukov and others, Double/debiased
        machine learning, 2018).
    about
        Numbers that tell of the actions, float32 [actions, G], beside which action it is.
    seed
        Deals persons out, and fixes the trees.
    threads
        Of LightGBM; the result does not depend on them.

    Returns
    -------
    numpy.ndarray
        float64 [n, actions].
    """
    traits = np.empty((actions, 0), np.float32) if about is None else about
    _, person = np.unique(logged.person, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(person.max() + 1)[person] % folds
    binary = bool(np.isin(logged.reward, (0, 1)).all())
    settings = _TREES | {"objective": "binary" if binary else "regression", "seed": seed, "num_threads": threads}

    def rows(chosen: NDArray[np.intp], action: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.column_stack([context[chosen], traits[action], action.astype(np.float32)])

    last = context.shape[1] + traits.shape[1]
    expected = np.empty((len(logged), actions))
    for number in range(folds):
        learned, told = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(told):
            continue
        reward = logged.reward[learned]
        if not len(learned) or (reward == reward[0]).all():
            expected[told] = reward[0] if len(learned) else 0.0
            continue
        data = lgb.Dataset(rows(learned, logged.action[learned]), reward, categorical_feature=[last])
        trees = lgb.train(settings, data, _ROUNDS)
        for action in range(actions):
            asked = rows(told, np.full(len(told), action))
            expected[told, action] = np.asarray(trees.predict(asked, num_threads=threads))
    return expected
