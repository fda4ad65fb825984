"""Added scopes and tags: their columns stand last, and every row is read under the layout that it was made for."""

from __future__ import annotations

import numpy as np
import pytest

from features.definitions import Aggregate
from features.errors import FeatureError
from features.rows.build import build_rows
from features.rows.layout import RowLayout
from features.scopes import Scopes
from features.spine import spine_of
from tests.features.logs import DAY, START, event, table_of

COUNT = Aggregate(("purchase",))
BASE = RowLayout(
    person_features=(COUNT,),
    scope_features=(COUNT, Aggregate(("purchase",), "sum", of="amount")),
    scopes=Scopes.of({"tea": ["tea"], "all": ["*"]}),
    parents=(1, -1),
    tags=("tea.buys",),
    wide=("purchase_count_all",),
)
MORE = BASE.extended(Scopes.of({"drinks": ["tea", "milk"]}), (1,), ("drinks.buys", "free"))
LOG = table_of(
    [
        event("a", "purchase", START, category="tea", amount=100),
        event("a", "purchase", START + DAY, category="milk", amount=50),
        event("b", "purchase", START + DAY, category="soap", amount=7),
    ]
)
SPINE = spine_of({"ann": ["a"], "bob": ["b"]}, [START + 2 * DAY])


def test_added_columns_stand_after_all_others() -> None:
    assert MORE.columns[: BASE.width] == BASE.columns
    assert MORE.columns[BASE.width :] == MORE.added.columns
    assert MORE.added.columns[:3] == (
        "purchase_count_all@drinks",
        "purchase_sum_amount_all@drinks",
        "outcome_lag1#drinks.buys",
    )
    assert len(MORE.columns) == len(set(MORE.columns)) == MORE.width
    assert MORE.base == BASE


def test_blocks_are_read_by_name_wherever_they_stand() -> None:
    rows = np.arange(2 * MORE.width, dtype=np.float32).reshape(2, -1)
    for s, scope in enumerate(MORE.scopes.names):
        for f, name in enumerate(MORE.scope_names):
            assert MORE.scope(rows)[1, s, f] == rows[1, MORE.columns.index(f"{name}@{scope}")]
    for t, tag in enumerate(MORE.tags):
        for f, name in enumerate(MORE.tag_names):
            assert MORE.tag(rows)[0, t, f] == rows[0, MORE.columns.index(f"{name}#{tag}")]
    assert MORE.scope(rows[:0]).shape == (0, 3, 2)
    assert MORE.tag(rows[:0]).shape == (0, 3, 4)


def test_heads_read_nothing_that_was_added() -> None:
    assert MORE.head_columns.tolist() == BASE.head_columns.tolist()


def test_rows_begin_as_those_of_the_base() -> None:
    history = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    base = build_rows(BASE, LOG, SPINE, history[:, :1])
    added = build_rows(MORE.added, LOG, SPINE, history[:, 1:])
    np.testing.assert_array_equal(build_rows(MORE, LOG, SPINE, history), np.concatenate([base, added], axis=1))
    assert dict(zip(MORE.added.columns, added[0].tolist(), strict=True))["purchase_sum_amount_all@drinks"] == 150


def test_layouts_with_and_without_additions_have_other_hashes() -> None:
    plain = BASE.extended(Scopes.of({}), (), ())
    again = MORE.extended(Scopes.of({}), (), ("last",))
    flat = RowLayout.from_dict({**MORE.to_dict(), "added": [0, 0]})
    assert plain.schema_hash == BASE.schema_hash
    assert len({layout.schema_hash for layout in (BASE, MORE, again, flat)}) == 4
    assert RowLayout.from_dict(MORE.to_dict()) == MORE
    assert "added" not in BASE.to_dict()
    assert again.base == BASE


def test_more_added_than_there_is_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"not so many added blocks: \[0, 4\]"):
        RowLayout.from_dict({**MORE.to_dict(), "added": [0, 4]})
