"""AUC and average precision against scikit-learn's, bit for bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.quality.ranking import average_precision, roc_auc


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), people=st.integers(2, 400), values=st.sampled_from([1, 2, 3, 10, 10**6]))
def test_the_figures_are_those_of_scikit_learn(seed: int, people: int, values: int) -> None:
    """With many ties and with none; scikit-learn is the oracle."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(people) < rng.random()).astype(np.uint8)
    labels[rng.permutation(people)[:2]] = [0, 1]
    scores = rng.integers(values, size=people) / values
    assert roc_auc(labels, scores) == roc_auc_score(labels, scores)
    assert average_precision(labels, scores) == average_precision_score(labels, scores)
