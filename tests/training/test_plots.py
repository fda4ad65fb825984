from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.training.small_log import small_taxonomy
from training.quality.metrics import macro_metrics, tag_metrics
from training.tags.evaluation import Evaluation, reliability
from training.tags.plots import draw_evaluation


def evaluation(labels: np.ndarray) -> Evaluation:
    probabilities = np.linspace(0.01, 0.9, labels.size).reshape(labels.shape)
    ids = ("tea.will-buy", "shoes.heavy")
    per_tag = {tag: tag_metrics(labels[:, n], probabilities[:, n]) for n, tag in enumerate(ids)}
    return Evaluation(
        instant=0,
        people=len(labels),
        macro={"zhongcao": macro_metrics(labels, probabilities)},
        per_tag=per_tag,
        count_per_tag={tag: metrics.auc for tag, metrics in per_tag.items()},
        reliability=reliability(labels, probabilities),
        assigned=dict.fromkeys(ids, 0.1),
        reliability_by_rarity={"all": reliability(labels, probabilities, bins=5)},
    )


def test_plots_are_drawn_and_the_same_every_time(tmp_path: Path) -> None:
    labels = (np.arange(80).reshape(40, 2) % 3 == 0).astype(np.uint8)
    first, second = (
        [path.read_bytes() for path in draw_evaluation(evaluation(labels), small_taxonomy(), tmp_path / name)]
        for name in "ab"
    )
    assert first == second
    assert all(picture.startswith(b"\x89PNG") for picture in first)


def test_tags_with_one_class_have_no_place_in_a_plot(tmp_path: Path) -> None:
    nobody = evaluation(np.zeros((40, 2), np.uint8))
    assert Evaluation.from_dict(nobody.as_dict()).per_tag.keys() == nobody.per_tag.keys()
    assert len(draw_evaluation(nobody, small_taxonomy(), tmp_path)) == 4
