"""The training bench, at a size that says nothing about cost: its sets, its contestants, its comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tag_training import EXACT, OURS, PEER, compared, gain
from bench.tag_training_contestants import exact_against_separate, run, save
from bench.tag_training_data import FEATURES, make
from bench.tag_training_pooled import PlainPooled
from training.quality.calibration import sigmoid

PEOPLE, TAGS = 1_500, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people")
    for part, name in enumerate(["train", "test"]):
        save(path, name, make("correlated", PEOPLE, TAGS, seed=1, part=part))
    return path


@pytest.mark.parametrize("kind", ["correlated", "adversarial"])
def test_people_are_as_described(kind: str) -> None:
    people = make(kind, 12_000, TAGS, seed=3, part=0)
    assert people.matrix.shape == (12_000, FEATURES)
    assert np.isnan(people.matrix).mean() == pytest.approx(0.03, abs=0.003)
    assert (people.matrix == 0).mean() == pytest.approx(0.6 * 0.97, abs=0.01)
    known = people.matrix[people.matrix > 0]
    assert known.max() > 20 * np.median(known)
    rates = people.labels.mean(axis=0)
    assert 0.001 < rates.min() < rates.max() < 0.12


def test_the_seed_fixes_people_and_more_tags_leave_the_others_as_they_are() -> None:
    few, more = make("correlated", 300, 3, seed=3, part=0), make("correlated", 300, 5, seed=3, part=0)
    again, others = make("correlated", 300, 3, seed=3, part=0), make("correlated", 300, 3, seed=3, part=1)
    assert few.labels.tobytes() == again.labels.tobytes()
    assert few.matrix.tobytes() == again.matrix.tobytes() != others.matrix.tobytes()
    assert more.labels.shape == (300, 5)


@pytest.mark.parametrize("name", [OURS, EXACT])
def test_contestants_learn_something(name: str, folder: Path) -> None:
    figures = run(name, folder, most_minutes=1)
    assert figures["macro_auc"] > 0.55
    assert figures["tags_fitted"] == figures["tags"] == TAGS
    assert figures["cpu_s"] > 0


def test_a_peer_out_of_time_is_scaled_from_the_tags_it_fitted(tmp_path: Path) -> None:
    for part, name in enumerate(["train", "test"]):
        save(tmp_path, name, make("correlated", 300, TAGS, seed=1, part=part))
    figures = run(PEER, tmp_path, most_minutes=0)
    assert figures["tags_fitted"] == 3
    assert len(figures["auc_by_tag"]) <= 3


def test_exact_heads_are_equal_to_separate_calls(folder: Path) -> None:
    figures = exact_against_separate(folder, tags=2, runs=1)
    assert figures["bit_equal"]
    assert figures["tags"] == 2


def test_pooled_scores_have_the_level_of_everybody() -> None:
    people = make("correlated", 4_000, TAGS, seed=1, part=0)
    model = PlainPooled.fit(people.matrix, people.labels, seed=0, threads=1)
    scored = sigmoid(model.logits(people.matrix, threads=1))
    assert scored.mean() == pytest.approx(people.labels.mean(), rel=0.25)


def test_quality_is_compared_over_the_tags_that_both_have_fitted() -> None:
    def figures(cpu: float, **auc: float) -> dict[str, object]:
        return {"cpu_s": cpu, "auc_by_tag": auc}

    ours, peer = figures(2.0, a=0.8, b=0.9, c=0.6), figures(18.0, a=0.7, b=0.86)
    assert gain(ours, peer) == pytest.approx(0.07)
    hard = {OURS: figures(2.0, a=0.7), PEER: figures(1.0, a=0.65), "exact heads": figures(1.0, a=0.702)}
    result = compared({"correlated": {OURS: ours, PEER: peer}, "adversarial": hard})
    assert result["ratio_cpu_vs_one_vs_rest"] == 9
    assert result["auc_delta_vs_one_vs_rest"] == pytest.approx(0.07)
    assert result["adversarial_auc_gap_to_best"] == pytest.approx(0.002)
    assert result["adversarial_best"] == "exact heads"
