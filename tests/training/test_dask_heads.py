"""Heads that a cluster trains are those that this process trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.errors import TrainingError
from features.settings import Settings
from tests.beyond import require
from tests.training.dask_cluster import cluster_of, scheduler
from training.tags.binned import Bins, bin_matrix
from training.tags.dask_heads import DaskHeads, head_trainer
from training.tags.head_fit import HeadSettings
from training.tags.heads import ThreadedHeads

__all__ = ["scheduler"]

TAGS = 5
SETTINGS = HeadSettings(min_positives=30, trees=6, leaves=5, min_data_in_leaf=10)
SAMPLED = HeadSettings(min_positives=30, trees=6, leaves=5, min_data_in_leaf=10, negatives=2.0, least_negatives=0)
ACTIVE = np.array([True, True, False, True, True])


def some_data() -> tuple[Bins, np.ndarray]:
    rng = np.random.default_rng(4)
    matrix = rng.lognormal(size=(1500, 12)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    score = np.nan_to_num(matrix[:, :TAGS]) + rng.normal(size=(1500, TAGS))
    labels = (score > np.quantile(score, [0.9, 0.8, 0.7, 0.99, 0.5], axis=0).diagonal()).astype(np.uint8)
    return bin_matrix([matrix], max_bin=31), labels


@pytest.mark.parametrize("settings", [SETTINGS, SAMPLED], ids=["exact", "sampled"])
def test_cluster_gives_the_same_texts(scheduler: str, tmp_path: Path, settings: HeadSettings) -> None:
    bins, labels = some_data()
    local = ThreadedHeads(1).fit(bins, labels, ACTIVE, settings, seed=3)
    done: list[int] = []
    spread = DaskHeads(scheduler).fit(
        bins, labels, ACTIVE, settings, seed=3, kept=tmp_path / "kept", advance=lambda: done.append(1)
    )
    assert list(spread) == list(local) == [0, 1, 4]
    assert len(done) == 3
    assert {n: h.model_to_string() for n, h in spread.items()} == {n: h.model_to_string() for n, h in local.items()}
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_a_rerun_trains_only_what_is_missing(scheduler: str, tmp_path: Path) -> None:
    bins, labels = some_data()
    first = DaskHeads(scheduler).fit(bins, labels, ACTIVE, SETTINGS, seed=3, kept=tmp_path)
    kept = sorted(tmp_path.iterdir())
    kept[0].unlink()
    other = first[0].model_to_string()
    kept[1].write_text(other, encoding="utf-8")
    kept[2].write_text(other, encoding="utf-8")
    again = DaskHeads(scheduler).fit(bins, labels, ACTIVE, SETTINGS, seed=3, kept=tmp_path)
    found = [head.model_to_string() for head in again.values()]
    assert found.count(other) >= 2


def test_settings_say_who_trains(tmp_path: Path) -> None:
    assert head_trainer(Settings(home=tmp_path, threads=3)) == ThreadedHeads(3)
    assert head_trainer(Settings(home=tmp_path, dask="tcp://[::1]:8786")) == DaskHeads("tcp://[::1]:8786")


@pytest.mark.parametrize(
    "address", ["tcp://192.0.2.1:8786", "127.0.0.1:8786", "tcp://scheduler:8786", "ws://127.0.0.1:8786"]
)
def test_a_cluster_that_strangers_could_reach_is_refused(address: str) -> None:
    with pytest.raises(TrainingError, match=r"must be on loopback or encrypted: .*valid: tcp://127.0.0.1:8786"):
        DaskHeads(address)


def test_a_cluster_may_be_encrypted() -> None:
    assert DaskHeads("tls://scheduler:8786").address == "tls://scheduler:8786"


def test_workers_are_needed(tmp_path: Path) -> None:
    bins, labels = some_data()
    with (
        cluster_of(0, tmp_path) as address,
        pytest.raises(TrainingError, match=r"no workers: 'tcp://127.*dask worker"),
    ):
        DaskHeads(address).fit(bins, labels, ACTIVE, SETTINGS, seed=3)


def test_a_scheduler_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    require("distributed")
    monkeypatch.setattr("training.tags.dask_heads.LOOK_SECONDS", 0.2)
    bins, labels = some_data()
    with pytest.raises(TrainingError, match=r"no Dask scheduler answers: 'tcp://127.0.0.1:1'; start one"):
        DaskHeads("tcp://127.0.0.1:1").fit(bins, labels, ACTIVE, SETTINGS, seed=3)
