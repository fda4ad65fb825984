"""What Spark computes is what DuckDB computes."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.definitions import Aggregate, outcome
from features.errors import FeatureError
from features.people.population import population
from features.rows.batch import aggregate
from features.rows.build import build_rows
from features.rows.catalog import default_person_features, default_scope_features, layout_for
from features.rows.derived import inputs_of
from features.rows.outcomes import fit_thresholds, label_history
from features.rows.spark import spark_owners, spark_rows
from features.scopes import Scopes
from features.spine import spine_of
from tests.features.logs import DAY, START, Event, event, table_of
from tests.features.spark_session import spark
from tests.features.test_population import link, links_of
from tests.training.small_log import small_taxonomy

__all__ = ["spark"]

BUY = ("purchase",)
SCOPES = Scopes.of({"all": ["*"], "drinks": ["milk", "tea"], "tea": ["tea"]})
PEOPLE = {"ann": ["a", "b"], "bob": ["c"], "zoe": ["nobody"]}
INSTANTS = [START + 20 * DAY, START + 45 * DAY + 3600]


def some_log(events: int = 300, categories: tuple[str | None, ...] = ("milk", "tea", "soap", None)) -> list[Event]:
    rng = Random(5)
    kinds = ("impression", "click", "read", "save", "item_view", "refund", "purchase", "purchase", "purchase")
    return [
        event(
            rng.choice("abcd"),
            rng.choice(kinds),
            START + rng.randrange(50 * 48) * 1800,
            late=rng.choice((0, 0, 1, DAY, 20 * DAY)),
            category=rng.choice(categories),
            **{name: rng.choice(("x", "y", None)) for name in ("item", "brand", "campaign")},
            **{name: rng.choice((None, 0, 1, 250)) for name in ("amount", "quantity", "discount", "coupon")},
            own_label=rng.choice((True, False, None)),
            dwell_ms=rng.choice((None, 4999, 5000)),
            read_percent=rng.choice((None, 0.0, 50.0)),
        )
        for _ in range(events)
    ]


def default_aggregates(*, of_person: bool) -> list[Aggregate]:
    features = default_person_features() if of_person else default_scope_features()
    return list(dict.fromkeys(a for feature in features for a in inputs_of(feature)))


@pytest.mark.parametrize(
    ("aggregates", "scopes", "known_at"),
    [
        pytest.param(default_aggregates(of_person=True), None, None, id="person"),
        pytest.param(default_aggregates(of_person=False), SCOPES, None, id="scope"),
        pytest.param([Aggregate(BUY, "days", window=outcome(9))], SCOPES, START + 99 * DAY, id="outcome"),
    ],
)
def test_aggregates_are_equal_to_those_of_duckdb(
    spark: Any, aggregates: list[Aggregate], scopes: Scopes | None, known_at: int | None
) -> None:
    log, spine = table_of(some_log()), spine_of(PEOPLE, INSTANTS, "Asia/Shanghai", known_at)
    found = aggregate(spark.createDataFrame(log), spine, aggregates, scopes)
    expected = aggregate(log, spine, aggregates, scopes)
    assert expected.num_rows >= 4
    assert found.equals(expected)


def test_wide_rows_have_the_bits_of_one_machine(spark: Any) -> None:
    log = table_of(some_log(600, ("tea", "milk", "soap")))
    links = links_of(
        [
            link("1", "a", "P", START + DAY),
            link("2", "b", "P", START + 9 * DAY),
            link("3", "c", "Q", START + 2 * DAY, consent=False),
            link("4", "d", "R", START + 60 * DAY),
        ]
    )
    instant, taxonomy = INSTANTS[1], small_taxonomy()
    layout = layout_for(taxonomy)
    spine = population(log, links, [instant], "UTC")
    thresholds = fit_thresholds(taxonomy, log, spine)
    expected = build_rows(layout, log, spine, label_history(taxonomy, log, spine, thresholds))
    assert spine.persons == ["P", "d"]

    events = spark.createDataFrame(log)
    owners = spark_owners(events, spark.createDataFrame(links), instant)
    rows = spark_rows(
        layout, events, owners, instant, "UTC", history=(taxonomy, thresholds), groups=3, memory="200MB"
    )
    found = rows.toArrow().sort_by("person")
    assert found["person"].to_pylist() == spine.persons
    assert found["instant"].to_pylist() == [instant] * 2
    np.testing.assert_array_equal(np.array(found["row"].to_pylist(), np.float32), expected)
    assert population(events, links, [instant], "UTC").accounts.equals(spine.accounts)


def test_errors_say_what_is_wrong(spark: Any) -> None:
    layout = layout_for(small_taxonomy())
    events = spark.createDataFrame(table_of([event("a", "purchase", START)]))
    owners = spark.createDataFrame(pa.table({"person": ["a"], "account": ["a"]}))
    with pytest.raises(FeatureError, match="lack a required column: 'day'; valid: account, kind"):
        spark_rows(layout, events.drop("day"), owners, START, "UTC")
    with pytest.raises(FeatureError, match="at least one group: 0"):
        spark_rows(layout, events, owners, START, "UTC", groups=0)
    with pytest.raises(FeatureError, match="unknown event kind: 'clik'"):
        spark_owners(events, None, START, kinds=["clik"])
