"""Wide rows of more people than one machine holds: Spark brings a person's events together, the same code computes.

Spark deals people out to groups and moves the events of each group to one task. There the group is a small log of
its own, and `features.rows.build.build_rows` makes its rows on DuckDB, on one thread and in bounded memory. So a
row made on a cluster has the bits of a row made on one machine.

Spark ships functions to its own Python workers as pickles: the cluster must be the user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from features.errors import FeatureError
from features.joins import REQUIRED
from features.people.population import LINK_COLUMNS, owners_query
from features.rows.build import RowLayout, build_rows
from features.rows.outcomes import label_history
from features.rows.thresholds import Thresholds
from features.spine import spine_of
from features.taxonomy.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

ROWS_SCHEMA = "person string, instant bigint, row array<float>"


def spark_owners(
    events: DataFrame,
    identities: DataFrame | None,
    instant: int,
    *,
    known_at: int | None = None,
    kinds: Sequence[str] | None = None,
) -> DataFrame:
    """Say which accounts belong to whom as of an instant, as `features.people.population.population` does.

    Parameters
    ----------
    events, identities
        Spark data frames in the columns of the canonical tables; None where accounts were never linked.
    instant
        Epoch seconds.
    known_at
        Only what had arrived by then counts; the instant itself by default.
    kinds
        Kinds of events that bring a person in; all by default.

    Returns
    -------
    DataFrame
        ``person`` and ``account``, both strings: everybody with an event before the instant, who did not say no.

    Raises
    ------
    FeatureError
        A kind is unknown.
    """
    session = events.sparkSession
    if identities is None:
        types = (
            "row_id string, account string, person string, valid_from bigint, arrived_at bigint, consent boolean"
        )
        identities = session.createDataFrame([], types)
    question = owners_query(instant, known_at, kinds)
    return session.sql(question, events=events, links=identities.select(*LINK_COLUMNS))


def spark_rows(
    layout: RowLayout,
    events: DataFrame,
    owners: DataFrame,
    instant: int,
    timezone: str,
    *,
    known_at: int | None = None,
    history: tuple[Taxonomy, Thresholds] | None = None,
    groups: int = 200,
    memory: str = "1GB",
) -> DataFrame:
    """Make the wide row of everybody at an instant, each group of people in a task of its own.

    A task holds the events of its group three times for a moment (Spark's, Arrow's and DuckDB's), some 300 bytes
    each, and 12 bytes × people × width of rows; the aggregates beside them are bounded as `build_rows` says. Every
    group costs about a second of CPU whatever its size, so choose `groups` for twenty thousand people in each, and
    let Spark keep small partitions apart: ``spark.sql.adaptive.coalescePartitions.enabled`` false.

    Parameters
    ----------
    layout
        Which columns.
    events
        Spark data frame in the canonical columns.
    owners
        What `spark_owners` returned for the instant.
    instant
        Epoch seconds.
    timezone
        The log's time zone.
    known_at
        Only what had arrived by then counts; the instant itself by default.
    history
        Taxonomy and thresholds of the label history; without them the tag block is missing (NaN).
    groups
        Into how many groups people are dealt by a hash of their key.
    memory
        What DuckDB may take in a task before it spills.

    Returns
    -------
    DataFrame
        ``person``, ``instant`` and ``row``, the float32 values in the order of ``layout.columns``; lazy, so write
        it: ``spark_rows(…).write.parquet(folder)``.

    Raises
    ------
    FeatureError
        A required column is missing, or `groups` is below 1.
    """
    missing = [column for column in REQUIRED if column not in events.columns]
    if missing:
        raise FeatureError("the events lack a required column", value=missing[0], valid=REQUIRED)
    if groups < 1:
        raise FeatureError("people are dealt out to at least one group", value=groups)
    group = f"pmod(xxhash64(person), {int(groups)})"
    known = instant if known_at is None else known_at
    past = events.where(f"event_time < {int(instant)} and arrived_at <= {int(known)}")
    theirs = past.join(owners.selectExpr("account", f"{group} as of"), "account").groupBy("of")
    people = owners.selectExpr("person", "account", f"{group} as part").groupBy("part")
    compute = _rows_of_a_group(layout, instant, timezone, known_at, history, memory=memory)
    return theirs.cogroup(people).applyInArrow(compute, ROWS_SCHEMA)


def _rows_of_a_group(
    layout: RowLayout,
    instant: int,
    timezone: str,
    known_at: int | None,
    history: tuple[Taxonomy, Thresholds] | None,
    *,
    memory: str,
) -> Callable[[pa.Table, pa.Table], pa.Table]:
    config = {
        "threads": 1,
        "memory_limit": memory,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }

    def compute(events: pa.Table, people: pa.Table) -> pa.Table:
        accounts: dict[str, list[str]] = {}
        for person, account in zip(people["person"].to_pylist(), people["account"].to_pylist(), strict=True):
            accounts.setdefault(person, []).append(account)
        spine = spine_of(accounts, [instant], timezone, known_at)
        with duckdb.connect(config=config) as connection:
            log = connection.from_arrow(events)
            past = None if history is None else label_history(history[0], log, spine, history[1])
            rows = build_rows(layout, log, spine, past)
        offsets = np.arange(len(rows) + 1) * layout.width
        columns: list[Any] = [
            pa.array(spine.persons, pa.string()),
            pa.array(spine.instants),
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(rows.ravel())),
        ]
        return pa.table(columns, names=["person", "instant", "row"])

    return compute
