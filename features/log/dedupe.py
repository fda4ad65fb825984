"""Which spooled rows are duplicates, repeats or contradictions: exact, and without a window.

An event id that the mapping gives must come with the same content wherever it comes again: then it is a duplicate,
else a contradiction. An id that is a hash of the content may come again within one file: then it is a true repeat
and gets an id of its own, numbered by occurrence; in another file, or in the log, it is the same event again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.events import EVENTS, Table
from features.log.canonical import FILLED_FROM_ITEMS, FILLED_FROM_NOTES, NOT_CONTENT
from features.log.canonical_sql import quoted
from features.log.event_log import VERSIONED, EventLog
from features.log.spool import Positions, Spooled

CONTRADICTION = "same id, other content"
_LOW_BITS = 20


@dataclass
class Verdict:
    """What becomes of one spooled chunk.

    Parameters
    ----------
    drop
        Positions of rows that do not go into the log.
    rename
        Position → new id of true repeats.
    """

    drop: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    rename: dict[int, str] = field(default_factory=dict)


@dataclass
class Settlement:
    """The verdicts on all chunks.

    Parameters
    ----------
    verdicts
        One per chunk, in order.
    duplicates
        Rows that the log, or an earlier row, already holds.
    contradictions
        (file, record, id) of rows whose id is taken by other content.
    """

    verdicts: list[Verdict]
    duplicates: int = 0
    contradictions: list[tuple[int, int, str]] = field(default_factory=list)


def settle(log: EventLog, canonical: Table, chunks: Sequence[Spooled]) -> Settlement:
    """Find duplicates within the spooled rows and against the whole log.

    Parameters
    ----------
    log
        The log that the rows are to go into.
    canonical
        Their table.
    chunks
        The spooled rows; hashes of repeats are replaced by those of their new ids.
    """
    settlement = Settlement([Verdict() for _ in chunks])
    if not chunks:
        return settlement
    con = log.connect()
    try:
        repeated = _repeated(chunks)
        gathered = len(repeated)
        if gathered:
            _suspects(con, canonical, chunks, repeated, settlement)
            if canonical is EVENTS and _number_repeats(con, chunks, settlement):
                repeated, gathered = _repeated(chunks), 0
        suspects = np.union1d(repeated, _in_log(con, log, canonical, chunks))
        if len(suspects) != gathered:
            _suspects(con, canonical, chunks, suspects, settlement)
        if len(suspects):
            _judge(con, log, canonical, suspects, settlement)
    finally:
        con.close()
    return settlement


def _repeated(chunks: Sequence[Spooled]) -> npt.NDArray[np.uint64]:
    ordered = np.sort(np.concatenate([chunk.hashes for chunk in chunks]))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _in_log(
    con: duckdb.DuckDBPyConnection, log: EventLog, canonical: Table, chunks: Sequence[Spooled]
) -> npt.NDArray[np.uint64]:
    if log.log_table(canonical.name).version < 0:
        return np.empty(0, np.uint64)
    ordered = np.sort(np.concatenate([chunk.hashes for chunk in chunks]))
    stored = log.rows(con, canonical.name).project(f"hash({quoted(canonical.key)}) AS h")
    found = [np.empty(0, np.uint64)]
    for batch in stored.to_arrow_reader(1_000_000):
        known = np.sort(batch.column(0).to_numpy())
        places = np.minimum(np.searchsorted(ordered, known), len(ordered) - 1)
        found.append(known[ordered[places] == known])
    return np.unique(np.concatenate(found))


def _positions(chunk: Spooled, suspects: npt.NDArray[np.uint64]) -> Positions:
    """Return where the chunk's hashes are among the suspects, which are sorted."""
    # Most rows are not: a table of their low bits spares the search.
    marked = np.zeros(1 << _LOW_BITS, bool)
    low = np.uint64((1 << _LOW_BITS) - 1)
    marked[suspects & low] = True
    likely = np.flatnonzero(marked[chunk.hashes & low])
    hashes = chunk.hashes[likely]
    places = np.minimum(np.searchsorted(suspects, hashes), len(suspects) - 1)
    found: Positions = likely[suspects[places] == hashes]
    return found


def _suspects(
    con: duckdb.DuckDBPyConnection,
    canonical: Table,
    chunks: Sequence[Spooled],
    suspects: npt.NDArray[np.uint64],
    settlement: Settlement,
) -> None:
    """Make a table ``suspects`` of the rows with these hashes: where they are, id as it will be stored, content."""
    con.execute(
        "CREATE OR REPLACE TABLE suspects "
        "(chunk INTEGER, file INTEGER, record BIGINT, position BIGINT, id VARCHAR, content VARCHAR)"
    )
    for number, (chunk, verdict) in enumerate(zip(chunks, settlement.verdicts, strict=True)):
        positions = _positions(chunk, suspects)
        if not len(positions):
            continue
        rows = chunk.read().take(pa.array(positions))
        ids = rows[canonical.key]
        if verdict.rename:
            pairs = zip(positions.tolist(), ids.to_pylist(), strict=True)
            ids = pa.array([verdict.rename.get(position, old) for position, old in pairs], pa.string())
        con.register("rows", rows.append_column("id", ids).append_column("position", pa.array(positions)))
        con.execute(
            f"INSERT INTO suspects SELECT {number}, {chunk.file}, record, position, id, "  # noqa: S608
            f"{content_sql(canonical, rows.column_names)} FROM rows"
        )
        con.unregister("rows")


def _number_repeats(con: duckdb.DuckDBPyConnection, chunks: Sequence[Spooled], settlement: Settlement) -> bool:
    """Give true repeats ids of their own; return whether there are any."""
    numbered = con.execute(
        "SELECT chunk, position, id || '-' || n, hash(id || '-' || n) FROM (SELECT *, row_number() OVER "
        "(PARTITION BY file, id ORDER BY record) AS n FROM suspects WHERE regexp_full_match(id, '[0-9a-f]{32}')) "
        "WHERE n > 1"
    ).fetchall()
    for chunk, position, new_id, new_hash in numbered:
        settlement.verdicts[chunk].rename[position] = new_id
        chunks[chunk].hashes[position] = new_hash
    return bool(numbered)


def _judge(
    con: duckdb.DuckDBPyConnection,
    log: EventLog,
    canonical: Table,
    suspects: npt.NDArray[np.uint64],
    settlement: Settlement,
) -> None:
    con.register("wanted", pa.table({"h": suspects}))
    versioned = canonical.name in VERSIONED
    rows = (log.table if versioned else log.rows)(con, canonical.name)
    con.register("rows", rows)
    key = quoted(canonical.key)
    con.execute(
        f"CREATE TABLE stored AS SELECT {key} AS id, "  # noqa: S608
        f"{content_sql(canonical, [c.name for c in canonical.columns])} AS content FROM rows "
        f"WHERE hash({key}) IN (SELECT h FROM wanted)"
    )
    # Of notes, items and campaigns, other content is a newer version, unless one import contradicts itself.
    taken, same = (
        ("n > 1 OR known = content", "n = 1 OR first = content")
        if versioned
        else ("n > 1 OR known IS NOT NULL", "coalesce(known, first) = content")
    )
    con.execute(
        "CREATE TABLE judged AS WITH ranked AS (SELECT s.*, k.content AS known, row_number() OVER w AS n, "  # noqa: S608
        "first_value(s.content) OVER w AS first FROM suspects s LEFT JOIN stored k ON k.id = s.id "
        "WINDOW w AS (PARTITION BY s.id ORDER BY s.file, s.record)) "
        f"SELECT chunk, position, file, record, id, {same} AS duplicate FROM ranked WHERE {taken}"
    )
    for number, verdict in enumerate(settlement.verdicts):
        dropped = con.execute(f"SELECT position FROM judged WHERE chunk = {number}").fetchnumpy()  # noqa: S608
        verdict.drop = np.sort(np.asarray(dropped["position"], np.int64))
    counted = con.execute("SELECT count(*) FROM judged WHERE duplicate").fetchone()
    settlement.duplicates = int(counted[0]) if counted else 0
    settlement.contradictions = con.execute(
        "SELECT file, record, id FROM judged WHERE NOT duplicate ORDER BY file, record"
    ).fetchall()


def content_sql(canonical: Table, present: Sequence[str]) -> str:
    """Return SQL of a hash over what a row says, apart from what the catalogue may have filled in.

    `features.inbox.live_content.contents` computes the same for live events: change both together.
    """
    parts = []
    for column in canonical.columns:
        if column.name in (*NOT_CONTENT, canonical.key) or column.name not in present:
            continue
        said = f"'{column.name}=' || {quoted(column.name)}"
        fillers = [
            quoted(of)
            for of, filled in (("item", FILLED_FROM_ITEMS), ("note", FILLED_FROM_NOTES))
            if canonical is EVENTS and column.name in filled and of in present
        ]
        if fillers:
            said = f"CASE WHEN coalesce({', '.join(fillers)}) IS NULL THEN {said} END"
        parts.append(said)
    return f"md5(concat_ws(E'\\x1f', {', '.join(parts) or 'NULL'}))"
