"""Live features: the batch's bits from folded states, whatever the order, whatever the instant."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from features.definitions import CONDITIONS, Aggregate, Window, past
from features.events import INTEREST_KINDS, KINDS
from features.incremental.live_layout import LiveLayout
from features.rows.build import build_rows
from features.rows.derived import FUNCTIONS, Derived
from features.rows.layout import RowLayout
from features.rows.outcomes import fit_thresholds, label_history
from features.rows.thresholds import threshold_key
from features.scopes import Scopes
from features.spine import spine_of
from features.taxonomy.taxonomy import taxonomy_of
from tests.features.logs import START, Event, logs, table_of

BUY = ("purchase",)
EACH: tuple[Aggregate, ...] = (
    *(Aggregate(kinds, measure, window=window) for kinds, measure, window in product(
        (BUY, INTEREST_KINDS), ("count", "days", "recency", "tenure"), (Window(), past(1), past(7)))),
    *(Aggregate(BUY, condition=c, window=d) for c, d in product(CONDITIONS, (Window(), past(30)))),
    Aggregate(("read",), condition="deep_read", window=past(3)),
    *(Aggregate(BUY, "sum", of=of, window=past(15)) for of in ("amount", "quantity", "discount", "coupon")),
    Aggregate(("read", "purchase"), "sum", of="dwell_ms"),
    *(Aggregate(BUY, "distinct", of=of) for of in ("item", "brand", "category", "amount", "own_label")),
    Aggregate(KINDS, "distinct", of="item", window=past(5), condition="paid"),
    Aggregate(("read",), "distinct", of="read_percent"),
    *(Aggregate(BUY, "decayed", half_life=h, window=d) for h, d in product((1, 30), (Window(), past(20)))),
)  # fmt: skip
DERIVED = tuple(
    Derived(name, (Aggregate(BUY, "days"), Aggregate(BUY, "tenure"), Aggregate(BUY, "recency"))[:arguments])
    for name, (_, arguments) in FUNCTIONS.items()
)
SCOPES = Scopes.of({"drinks": ["milk", "tea"], "all": ["*"], "tea": ["tea"], "nothing": ["none"]})
TAXONOMY = taxonomy_of(
    {
        "name": "live", "horizon_days": 7,
        "vertical": [
            {"id": "drinks", "name": "Drinks", "name_zh": "饮料", "categories": ["milk", "tea"]},
            {"id": "soap", "name": "Soap", "name_zh": "皂", "categories": ["soap"]},
        ],
        "pattern": [
            {"id": f"p{n}", "name": "{vertical} " + str(n), "name_zh": "{vertical}" + str(n),
             "meaning": "It {vertical}.", "rule": rule}
            for n, rule in enumerate((
                "count(purchase) >= 1 and count(purchase, past=9) == 0",
                "sum(purchase, amount) >= quantile(sum(purchase, amount, past=7), 0.5)",
                'share(count(purchase, where="coupon"), count(purchase)) >= 0.5 or days(interest) >= 2',
                "not (distinct(purchase, item) >= 2) and count(cart, within=\"soap\") < 1",
            ))
        ],
        "tag": [
            {"id": "any", "name": "Any", "name_zh": "任", "meaning": "Does things.", "rule": "days(click) >= 1",
             "horizon_days": 10},
        ],
    }
)  # fmt: skip
WHOLE = RowLayout((*EACH, *DERIVED), EACH, SCOPES, (-1, -1, 0, -1), tuple(tag.id for tag in TAXONOMY.tags))
LEVELS = [threshold_key(t.scope, quantile) for t in TAXONOMY.tags if t.rule for quantile in t.rule.quantiles]
PEOPLE = {"ann": ["a", "b"], "bob": ["c"], "cem": ["d"], "dot": []}
INSTANT = st.integers(-2, 80 * 48).map(lambda half_hours: START + half_hours * 1800)


def bits(rows: Any) -> Any:
    return np.ascontiguousarray(rows, np.float32).view(np.int32)


def layouts() -> st.SearchStrategy[RowLayout]:
    """Layouts that each measure some of all there is; the last scope and the last tag were added."""
    some = st.lists(st.sampled_from(EACH), max_size=8, unique=True)
    derived = st.lists(st.sampled_from(DERIVED), max_size=2, unique=True)

    def layout(person: list[Aggregate], scope: list[Aggregate], more: list[Derived], added: int) -> RowLayout:
        parents, tags = (-1, -1, 0, -1), tuple(tag.id for tag in TAXONOMY.tags)
        return RowLayout(
            (*person, *more), (*scope, *more), SCOPES, parents, tags, added_scopes=added, added_tags=added
        )

    return st.builds(layout, some, some, derived, st.sampled_from((0, 1)))


@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.data(), st.sampled_from(("UTC", "Asia/Shanghai", "America/St_Johns")))
def test_rows_have_the_bits_of_the_batch(data: st.DataObject, timezone: str) -> None:
    log = data.draw(logs(timezone, largest=120))
    layout = data.draw(layouts())
    instants = data.draw(st.lists(INSTANT, min_size=1, max_size=8, unique=True))
    spine = spine_of(PEOPLE, instants, timezone)
    thresholds = fit_thresholds(TAXONOMY, table_of(log), spine)
    if data.draw(st.booleans()):
        spine = spine.known(data.draw(INSTANT))
    table = table_of(log)
    expected = build_rows(layout, table, spine, label_history(TAXONOMY, table, spine, thresholds))
    for row, entry in enumerate(spine.rows.to_pylist()):
        levels = {key: float(values[row]) for key, values in thresholds.at(spine.instants).items()}
        live = LiveLayout(layout, timezone, TAXONOMY, levels)
        mine = [e for e in log if e["account"] in PEOPLE[entry["person"]]]
        state = live.empty()
        for start in range(0, len(mine), 5):
            live.fold(state, mine[start : start + 5])
        if row % 2:
            state = live.unpack(state.pack())
        if row % 3 == 0:
            state.settle(entry["instant"])
        found = live.row(state, entry["instant"], entry["known_at"])
        assert {
            name: (a, b)
            for name, a, b in zip(layout.columns, expected[row].tolist(), found.tolist(), strict=True)
            if bits(a) != bits(b)
        } == {}


LIVE = LiveLayout(WHOLE, "UTC", TAXONOMY, dict.fromkeys(LEVELS, 1.0))


@settings(max_examples=20, deadline=None)
@given(logs(largest=30), st.randoms(use_true_random=False), st.lists(INSTANT, max_size=3))
def test_the_order_of_folding_changes_no_byte(log: list[Event], rng: random.Random, settled: list[int]) -> None:
    live, together, apart = LIVE, LIVE.empty(), LIVE.empty()
    live.fold(together, table_of(log))
    for instant in settled:
        together.settle(instant)
    steps: list[Any] = [*([row] for row in log), *settled]
    rng.shuffle(steps)
    for step in steps:
        if isinstance(step, int):
            apart.settle(step)
        else:
            live.fold(apart, step)
        apart = live.unpack(apart.pack())
    assert apart.pack() == together.pack()
