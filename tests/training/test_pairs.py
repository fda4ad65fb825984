from __future__ import annotations

import numpy as np
import pytest

from features.rows.catalog import layout_for
from features.rows.fitted import fit_affinities
from features.taxonomy.addition import added_tags
from features.taxonomy.taxonomy import Taxonomy
from tests.training.small_log import small_taxonomy
from training.study.ablation import NarrowView
from training.tags.outlook import Outlook
from training.tags.pairs import Fitted, PairView
from training.tags.statics import tag_statics

PEOPLE = 5
SMALL = small_taxonomy()
MORE = added_tags(
    SMALL,
    {
        "vertical": [{"id": "extra", "name": "Extra", "name_zh": "加", "categories": ["EXTRA"]}],
        "tag": [
            {
                "id": "extra.new",
                "name": "New",
                "name_zh": "新",
                "meaning": "Buys within {horizon} days.",
                "within": "extra",
                "rule": "count(purchase) >= 1",
            }
        ],
    },
)


def view_of(taxonomy: Taxonomy, kinds: tuple[str, ...], left_out: tuple[str, ...] | None) -> PairView:
    layout = layout_for(taxonomy, kinds)
    return PairView(layout, taxonomy) if left_out is None else NarrowView(layout, taxonomy, left_out)


@pytest.mark.parametrize(
    ("taxonomy", "kinds", "left_out"),
    [
        (SMALL, ("purchase",), None),
        (SMALL, ("purchase", "impression", "click"), None),
        (SMALL, ("purchase",), ("svd_affinity@tag", "outcome_mean", "days_share")),
        (MORE, ("purchase", "click"), None),
    ],
)
def test_all_pairs_of_one_person_are_the_gathered_ones_to_the_last_bit(
    taxonomy: Taxonomy, kinds: tuple[str, ...], left_out: tuple[str, ...] | None
) -> None:
    view = view_of(taxonomy, kinds, left_out)
    rng, tags = np.random.default_rng(6), len(taxonomy.tags)
    rows = np.floor(rng.exponential(3.0, (PEOPLE, view.layout.width))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    fitted = Fitted(
        fit_affinities(view.layout, np.nan_to_num(rows)),
        tag_statics(view.layout, taxonomy, rows),
        Outlook(rng.normal(size=view.basis.size), rng.normal(size=(tags, view.basis.size))),
    )
    numbers = np.arange(tags)
    for person in range(PEOPLE):
        row = rows[person : person + 1]
        expected, found = view.gather(row, fitted, np.zeros(tags, np.int64), numbers), view.of_one(row, fitted)
        assert found.shape == (tags, len(view.names))
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
