"""States: what they hold, how they are packed and refused, and states of a whole log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import features.incremental.build
from features.definitions import Aggregate, past
from features.errors import FeatureError
from features.events import KINDS
from features.incremental.build import states_of
from features.incremental.live_layout import LiveLayout
from features.log.event_log import EventLog
from features.people.population import population
from features.rows.build import build_rows
from features.rows.catalog import layout_for
from features.rows.layout import RowLayout
from features.rows.outcomes import fit_thresholds, label_history
from features.scopes import Scopes
from features.sources.mapping import load_text
from features.spine import spine_of
from features.taxonomy.taxonomy import taxonomy_of
from tests.features.log_cases import imported, settings_in
from tests.features.logs import DAY, START, event, table_of
from tests.training.small_log import MAPPING, small_taxonomy, write_log
from tests.training.small_log import START as SMALL_START

LAYOUT = RowLayout(
    (Aggregate(("click",), window=past(7)), Aggregate(("read",), condition="deep_read")),
    (Aggregate(("purchase",), "sum", of="amount"), Aggregate(("purchase",), "distinct", of="item")),
    Scopes.of({"tea": ["tea"]}),
    (-1,),
    (),
)
LIVE = LiveLayout(LAYOUT, "UTC")


def test_what_no_feature_could_count_is_not_kept() -> None:
    state = LIVE.empty()
    LIVE.fold(
        state,
        [
            event("a", "hide", START),
            event("a", "read", START, dwell_ms=4_999),
            event("a", "purchase", START, category="milk", amount=3),
            event("a", "purchase", START, amount=3),
        ],
    )
    assert len(state) == 0
    assert state.pack() == LIVE.empty().pack()
    LIVE.fold(
        state,
        [
            event("a", "click", START, item="i", amount=5),
            event("a", "read", START, read_percent=50.0),
            event("a", "purchase", START, category="tea", amount=3, item="i", brand="x"),
        ],
    )
    assert len(state) == 3
    assert len(state.codes) == 2
    assert LIVE.row(state, START + 1).tolist() == [1, 1, 3, 1]


def test_a_settled_state_forgets_and_refuses_what_lies_before() -> None:
    state = LIVE.empty()
    LIVE.fold(
        state, [event("a", "click", START), event("a", "purchase", START, category="tea", item="i", amount=2)]
    )
    later = START + 20 * DAY
    state.settle(later)
    state.settle(START)
    LIVE.fold(state, [event("a", "click", START + DAY), event("a", "click", later, late=DAY)])
    assert {KINDS[kind]: block[0].tolist() for kind, block in state.blocks.items()} == {
        "click": [later],
        "purchase": [START],
    }
    assert LIVE.row(state, later).tolist() == [0, 0, 2, 1]
    assert LIVE.row(state, later + DAY).tolist() == [1, 0, 2, 1]
    with pytest.raises(FeatureError, match=f"no row as of this instant can be read from the state: {later - 1}"):
        LIVE.row(state, later - 1)


def test_numbers_of_any_size_are_packed() -> None:
    state = LIVE.empty()
    amounts = [0, 2**62, 2**40 + 1, -(2**61)]
    rows = [event("a", "purchase", START + n, category="tea", amount=v) for n, v in enumerate(amounts)]
    LIVE.fold(state, [*rows, event("a", "click", START, late=-50), event("a", "click", START + 900 * DAY)])
    again = LIVE.unpack(state.pack())
    assert again.pack() == state.pack()
    assert LIVE.row(again, START + DAY).tolist() == LIVE.row(state, START + DAY).tolist()
    assert all(np.array_equal(block, state.blocks[kind]) for kind, block in again.blocks.items())


def test_a_state_of_other_features_or_of_another_length_is_refused() -> None:
    packed = LIVE.empty().pack()
    other = LiveLayout(replace(LAYOUT, scopes=Scopes.of({"tea": ["tea", "mate"]})), "UTC")
    assert other.schema_hash != LIVE.schema_hash
    with pytest.raises(FeatureError, match=r"made for other features: .*rebuild the states from the log"):
        other.unpack(packed)
    with pytest.raises(FeatureError, match=f"another length than it says: {len(packed) + 1}"):
        LIVE.unpack(packed + b"x")


def test_features_that_read_the_same_events_share_a_schema() -> None:
    shorter = replace(LAYOUT, person_features=(Aggregate(("click",), window=past(3)), *LAYOUT.person_features))
    assert LiveLayout(shorter, "UTC").schema_hash == LIVE.schema_hash
    longer = replace(LAYOUT, person_features=(Aggregate(("click",), window=past(8)), *LAYOUT.person_features))
    assert LiveLayout(longer, "UTC").schema_hash != LIVE.schema_hash


def test_a_taxonomy_must_be_the_layouts_and_its_quantiles_there() -> None:
    texts = {
        "name": "x",
        "name_zh": "x",
        "meaning": "x",
        "rule": "count(click) >= quantile(count(click, past=7), 0.5)",
    }
    taxonomy = taxonomy_of({"name": "t", "tag": [{"id": "t1", **texts}]})
    with pytest.raises(FeatureError, match="the taxonomy has other tags than the layout: 't'"):
        LiveLayout(LAYOUT, "UTC", taxonomy)
    with pytest.raises(FeatureError, match="a population quantile is missing"):
        LiveLayout(replace(LAYOUT, tags=("t1",)), "UTC", taxonomy)


def test_states_of_a_log_are_those_that_were_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    log = [
        event("abcd"[n % 4], kind, START + n * 7_000, category="tea", amount=n, dwell_ms=n * 900)
        for n, kind in enumerate(("click", "purchase", "read") * 13)
    ]
    spine = spine_of({"ann": ["a", "b"], "bob": ["z"], "cem": ["d"], "dot": []}, [START])
    monkeypatch.setattr(features.incremental.build, "_AT_ONCE", 7)
    built = dict(states_of(LIVE, table_of(log), spine))
    assert list(built) == ["ann", "bob", "cem", "dot"]
    for person, accounts in {"ann": "ab", "bob": "z", "cem": "d", "dot": ""}.items():
        state = LIVE.empty()
        LIVE.fold(state, [row for row in log if row["account"] in accounts])
        assert built[person].pack() == state.pack()
        state.settle(START + 30 * DAY)
        assert dict(states_of(LIVE, table_of(log), spine, START + 30 * DAY))[person].pack() == state.pack()


def test_the_default_layout_of_a_log_has_the_bits_of_the_batch(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    write_log(tmp_path / "log.csv", people=25, days=100)
    imported(settings, tmp_path / "log.csv", load_text(MAPPING, "small.toml"))
    log = EventLog.open(settings)
    con = log.connect()
    events, taxonomy, instant = log.table(con, "events"), small_taxonomy(), SMALL_START + 80 * DAY + 40_000
    spine = population(events, None, [instant], log.timezone)
    layout = layout_for(taxonomy, ("purchase", "item_view"))
    thresholds = fit_thresholds(taxonomy, events, spine)
    expected = build_rows(layout, events, spine, label_history(taxonomy, events, spine, thresholds))
    live = LiveLayout(layout, log.timezone, taxonomy)
    found = np.stack([live.row(state, instant) for _, state in states_of(live, events, spine)])
    con.close()
    assert np.isnan(found).any()
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
