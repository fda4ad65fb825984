"""The pooled model's pairs, trained by LightGBM's own Dask estimator as docs/scale.md shows."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.training.dask_cluster import scheduler
from training.tags.pooled import PooledSettings

__all__ = ["scheduler"]


@pytest.mark.filterwarnings("ignore:Parameter n:UserWarning")  # threads are the workers' affair
def test_distributed_pooled_model_ranks_like_the_local_one(scheduler: str) -> None:
    import dask.array as da  # noqa: PLC0415  (an extra)
    from distributed import Client  # noqa: PLC0415

    rng = np.random.default_rng(2)
    pairs = rng.normal(size=(6000, 8)).astype(np.float32)
    answers = (pairs[:, 0] + pairs[:, 1] * pairs[:, 2] + rng.normal(size=6000) > 1).astype(np.uint8)
    seen, later = slice(0, 4000), slice(4000, None)
    settings = PooledSettings(trees=20, leaves=15, min_data_in_leaf=20)
    params = settings.params(7, 1)
    local = lgb.train(params, lgb.Dataset(pairs[seen], answers[seen]), num_boost_round=settings.trees)
    with Client(scheduler) as client:
        spread = lgb.DaskLGBMClassifier(client=client, n_estimators=settings.trees, tree_learner="data", **params)
        blocks = da.from_array(pairs[seen], chunks=(1000, 8)), da.from_array(answers[seen], chunks=1000)
        booster = spread.fit(*blocks).booster_
    ranks = [roc_auc_score(answers[later], model.predict(pairs[later])) for model in (local, booster)]
    assert ranks[1] > ranks[0] - 0.01
    assert min(ranks) > 0.8
    assert booster.num_trees() == 20
