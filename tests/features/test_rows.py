"""Wide rows: layout, values by name, chunks, history."""

from __future__ import annotations

import json

import numpy as np
import pytest

import features.rows.build
from features.definitions import Aggregate, past
from features.errors import FeatureError
from features.rows.build import build_rows
from features.rows.derived import Derived
from features.rows.layout import RowLayout
from features.scopes import Scopes
from features.spine import spine_of
from tests.features.logs import DAY, START, event, table_of

COUNT = Aggregate(("purchase",))
AMOUNT = Aggregate(("purchase",), "sum", of="amount", window=past(30))
LAYOUT = RowLayout(
    person_features=(COUNT, Aggregate(("purchase",), "recency")),
    scope_features=(COUNT, Derived("price", (AMOUNT, COUNT))),
    scopes=Scopes.of({"tea": ["tea"], "all": ["*"]}),
    parents=(1, -1),
    tags=("tea.buys", "tea.heavy", "free"),
    wide=("purchase_count_all", "outcome_mean"),
)
LOG = table_of(
    [
        event("a", "purchase", START, category="tea", amount=100),
        event("a", "purchase", START + DAY, category=None, amount=50),
        event("b", "purchase", START + DAY, category="milk", amount=7),
    ]
)


def test_columns_are_named_after_feature_scope_and_tag() -> None:
    assert LAYOUT.columns[:6] == (
        "purchase_count_all",
        "purchase_recency_all",
        "purchase_count_all@tea",
        "purchase_sum_amount_30d_price@tea",
        "purchase_count_all@all",
        "purchase_sum_amount_30d_price@all",
    )
    assert LAYOUT.columns[6:8] == ("outcome_lag1#tea.buys", "outcome_lag2#tea.buys")
    assert LAYOUT.width == len(LAYOUT.columns) == 2 + 2 * 2 + 3 * 4
    assert [LAYOUT.columns[n] for n in LAYOUT.head_columns] == [
        "purchase_count_all",
        "purchase_recency_all",
        "purchase_count_all@tea",
        "purchase_count_all@all",
        "outcome_mean#tea.buys",
        "outcome_mean#tea.heavy",
        "outcome_mean#free",
    ]


def test_values_stand_under_their_names() -> None:
    spine = spine_of({"ann": ["a"], "bob": ["b"], "cy": ["c"]}, [START + 2 * DAY])
    rows = build_rows(LAYOUT, LOG, spine)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    ann = dict(zip(LAYOUT.columns, rows[0].tolist(), strict=True))
    assert ann["purchase_count_all"] == ann["purchase_count_all@all"] == 2
    assert ann["purchase_recency_all"] == DAY
    assert (ann["purchase_count_all@tea"], ann["purchase_sum_amount_30d_price@tea"]) == (1, 100)
    assert ann["purchase_sum_amount_30d_price@all"] == 75
    cy = dict(zip(LAYOUT.columns, rows[2].tolist(), strict=True))
    assert cy["purchase_count_all@tea"] == 0
    assert np.isnan([cy["purchase_recency_all"], cy["purchase_sum_amount_30d_price@tea"]]).all()
    assert np.isnan(LAYOUT.tag(rows)).all()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spine = spine_of({f"p{n}": [account] for n, account in enumerate("cbab")}, [START + DAY, START + 2 * DAY])
    history = np.arange(len(spine) * 12, dtype=np.float32).reshape(-1, 3, 4)
    whole = build_rows(LAYOUT, LOG, spine, history)
    monkeypatch.setattr(features.rows.build, "CELLS", 8)
    parts = build_rows(LAYOUT, LOG, spine, history)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(LAYOUT.tag(parts), history)


def test_views_write_through() -> None:
    rows = np.zeros((2, LAYOUT.width), np.float32)
    LAYOUT.person(rows)[:] = 1
    LAYOUT.scope(rows)[:, 1] = 2
    LAYOUT.tag(rows)[1, 2] = 3
    assert rows.tolist() == [[1, 1, 0, 0, 2, 2, *[0] * 12], [1, 1, 0, 0, 2, 2, *[0] * 8, 3, 3, 3, 3]]


def test_a_layout_survives_json_and_its_hash_follows_its_meaning() -> None:
    again = RowLayout.from_dict(json.loads(json.dumps(LAYOUT.to_dict())))
    assert again == LAYOUT
    assert again.schema_hash == LAYOUT.schema_hash
    wider = RowLayout.from_dict(LAYOUT.to_dict() | {"scopes": [["tea", ["tea", "mate"]], ["all", ["*"]]]})
    assert wider.columns == LAYOUT.columns
    assert wider.schema_hash != LAYOUT.schema_hash


def test_errors_say_what_is_wrong() -> None:
    content = LAYOUT.to_dict()
    with pytest.raises(FeatureError, match="occurs twice in a row layout: 'free'"):
        RowLayout.from_dict(content | {"tags": ["free", "free"]})
    with pytest.raises(FeatureError, match="wide feature is none of the layout: 'x'; valid: purchase_count_all"):
        RowLayout.from_dict(content | {"wide": ["x"]})
    with pytest.raises(FeatureError, match="needs a parent or -1: 1"):
        RowLayout.from_dict(content | {"parents": [-1]})
    with pytest.raises(FeatureError, match=r"another shape: \(1, 2\); valid: \(1, 3, 4\)"):
        build_rows(LAYOUT, LOG, spine_of({"ann": ["a"]}, [START]), np.zeros((1, 2), np.float32))


def test_nobody() -> None:
    assert build_rows(LAYOUT, LOG, spine_of({}, [START])).shape == (0, LAYOUT.width)
