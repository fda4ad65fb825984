"""The contract of head trainers, for every way of spreading the work and both kinds of heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from numpy.typing import NDArray

from training.quality.calibration import sigmoid
from training.quality.metrics import Labels
from training.tags.binned import Bins, bin_matrix, open_bins
from training.tags.head_fit import HeadSettings, fit_head, sampled_rows
from training.tags.heads import HeadTrainer, ThreadedHeads, head_logits
from training.tags.pairs import Matrix

EXACT = HeadSettings(min_positives=20, trees=8, leaves=4, min_data_in_leaf=10, feature_fraction=0.5)
FAST = replace(EXACT, negatives=3, least_negatives=0)
PEOPLE, TAGS = 3_000, 5

TRAINERS: dict[str, Callable[[], HeadTrainer]] = {
    "one thread": lambda: ThreadedHeads(1),
    "three threads": lambda: ThreadedHeads(3),
}
"""Whatever trains heads joins here."""


def drawn(seed: int = 0) -> tuple[Matrix, Labels]:
    """Five tags: a frequent one, two rarer, one with too few positives, one that is true of everybody."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(PEOPLE, 6)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    pull = np.nan_to_num(matrix[:, :1]) - [[0.0, 2.0, 3.0, 0.0, 0.0]]
    labels = (rng.random((PEOPLE, TAGS)) < sigmoid(pull)).astype(np.uint8)
    labels[:, 3] = np.arange(PEOPLE) < 19
    labels[:, 4] = 1
    return matrix, labels


@pytest.fixture(scope="module")
def data() -> tuple[Bins, Matrix, Labels]:
    matrix, labels = drawn()
    return bin_matrix([matrix]), matrix, labels


ALL: NDArray[np.bool_] = np.ones(TAGS, bool)


def texts(heads: dict[int, lgb.Booster]) -> dict[int, str]:
    return {tag: str(booster.model_to_string()) for tag, booster in heads.items()}


@pytest.fixture(params=TRAINERS)
def trainer(request: pytest.FixtureRequest) -> HeadTrainer:
    return TRAINERS[request.param]()


both_kinds = pytest.mark.parametrize("settings", [EXACT, FAST], ids=["exact", "fast"])


class TestEveryTrainer:
    @both_kinds
    def test_trains_each_tag_as_if_it_were_alone(
        self, trainer: HeadTrainer, settings: HeadSettings, data: tuple[Bins, Matrix, Labels]
    ) -> None:
        bins, _, labels = data
        together = texts(trainer.fit(bins, labels, ALL, settings, seed=3))
        assert list(together) == [0, 1, 2]
        for tag, text in together.items():
            assert text == fit_head(bins, labels[:, tag], settings, seed=3).model_to_string()
        other = texts(trainer.fit(bins, labels, ALL, settings, seed=4))
        assert all(other[tag] != text for tag, text in together.items())

    def test_skips_tags_that_are_not_asked_for_or_cannot_be_learned(
        self, trainer: HeadTrainer, data: tuple[Bins, Matrix, Labels]
    ) -> None:
        bins, _, labels = data
        advanced: list[int] = []
        asked = np.array([False, True, False, True, True])
        heads = trainer.fit(bins, labels, asked, EXACT, seed=0, advance=lambda: advanced.append(1))
        assert list(heads) == [1]
        assert len(advanced) == 1

    @both_kinds
    def test_goes_on_where_a_run_was_cut_off(
        self, trainer: HeadTrainer, settings: HeadSettings, data: tuple[Bins, Matrix, Labels], tmp_path: Path
    ) -> None:
        bins, _, labels = data
        whole = texts(trainer.fit(bins, labels, ALL, settings, seed=3))

        class CutOffError(Exception):
            pass

        def cut_off() -> None:
            raise CutOffError

        with pytest.raises(CutOffError):
            trainer.fit(bins, labels, ALL, settings, seed=3, kept=tmp_path / "heads", advance=cut_off)
        left = {path: path.stat().st_mtime_ns for path in (tmp_path / "heads").glob("*.txt")}
        assert left
        assert texts(trainer.fit(bins, labels, ALL, settings, seed=3, kept=tmp_path / "heads")) == whole
        files = {path: path.stat().st_mtime_ns for path in (tmp_path / "heads").glob("*.txt")}
        assert left.items() <= files.items()
        assert len(files) == len(whole)

    def test_does_not_take_a_kept_head_of_other_labels_or_settings(
        self, trainer: HeadTrainer, data: tuple[Bins, Matrix, Labels], tmp_path: Path
    ) -> None:
        bins, _, labels = data
        changed = labels.copy()
        changed[:5] = 1 - changed[:5]
        trainer.fit(bins, labels, ALL, EXACT, seed=3, kept=tmp_path)
        again = trainer.fit(bins, changed, ALL, FAST, seed=3, kept=tmp_path)
        assert texts(again) == texts(trainer.fit(bins, changed, ALL, FAST, seed=3))

    def test_bins_of_an_earlier_run_make_the_same_heads(
        self, trainer: HeadTrainer, data: tuple[Bins, Matrix, Labels], tmp_path: Path
    ) -> None:
        bins, matrix, labels = data
        open_bins(tmp_path, lambda: [matrix])
        stored = open_bins(tmp_path, list)
        assert texts(trainer.fit(stored, labels, ALL, FAST, seed=3)) == texts(
            trainer.fit(bins, labels, ALL, FAST, seed=3)
        )


def test_an_exact_head_is_what_lightgbm_trains_alone(data: tuple[Bins, Matrix, Labels]) -> None:
    bins, matrix, labels = data
    params = {**bins.params, **EXACT.params(seed=3)}
    for tag, booster in ThreadedHeads(2).fit(bins, labels, ALL, EXACT, seed=3).items():
        alone = lgb.train(params, lgb.Dataset(matrix, labels[:, tag], params=params), EXACT.trees)
        assert booster.model_to_string() == alone.model_to_string()


def test_a_fast_head_is_what_lightgbm_trains_on_the_sample_moved_by_the_sampled_share(
    data: tuple[Bins, Matrix, Labels],
) -> None:
    bins, matrix, labels = data
    rows = sampled_rows(labels[:, 2], 3, 0, seed=9)
    params = {**bins.params, **FAST.params(seed=9)}
    sample = lgb.Dataset(matrix[rows], labels[rows, 2], reference=bins.data, params=params)
    alone = lgb.train(params, sample, FAST.trees).predict(matrix, raw_score=True)
    positives = int(labels[:, 2].sum())
    moved = alone - np.log((PEOPLE - positives) / (3 * positives))
    fast = fit_head(bins, labels[:, 2], FAST, seed=9)
    np.testing.assert_allclose(fast.predict(matrix, raw_score=True), moved, rtol=0, atol=1e-12)
    read_back = lgb.Booster(model_str=fast.model_to_string())
    assert (read_back.predict(matrix, raw_score=True) == fast.predict(matrix, raw_score=True)).all()


@both_kinds
def test_probabilities_have_the_level_of_everybody(
    settings: HeadSettings, data: tuple[Bins, Matrix, Labels]
) -> None:
    bins, matrix, labels = data
    heads = ThreadedHeads(1).fit(bins, labels, ALL, settings, seed=3)
    mean = sigmoid(head_logits(heads, matrix, TAGS)[:, :3]).mean(axis=0)
    np.testing.assert_allclose(mean, labels[:, :3].mean(axis=0), rtol=0.1)


def test_a_sampled_head_of_useless_columns_says_the_base_rate() -> None:
    labels = (np.arange(1000) < 50).astype(np.uint8)
    matrix = np.zeros((1000, 2), np.float32)
    head = fit_head(bin_matrix([matrix]), labels, FAST, seed=0)
    assert head.predict(matrix[:1])[0] == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(
    ("negatives", "least", "kept"),
    [(None, 0, 90), (0.5, 0, 5), (2, 0, 20), (2, 19, 20), (2, 21, 21), (2, 900, 90), (9, 0, 90), (50, 0, 90)],
)
def test_all_positives_and_as_many_negatives_as_asked(negatives: float | None, least: int, kept: int) -> None:
    labels = (np.arange(100) % 10 == 3).astype(np.uint8)
    rows = sampled_rows(labels, negatives, least, seed=1)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert labels[rows].sum() == 10
    assert len(rows) == 10 + kept


def test_the_sample_takes_every_negative_equally_often() -> None:
    labels = np.array([1, 0, 0, 0, 0], np.uint8)
    counts = np.bincount(np.concatenate([sampled_rows(labels, 2, 0, seed) for seed in range(600)]), minlength=5)
    assert counts[0] == 600
    assert np.abs(counts[1:] - 300).max() < 60
