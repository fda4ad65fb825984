"""Times for data that numbers the baskets of each person instead of dating them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb
import pyarrow as pa

from features.days import DAY_SECONDS, instant_of
from features.errors import MappingError
from features.log.canonical_sql import quoted, text_of
from features.log.event_log import EventLog
from features.log.input import Input
from features.sources.mapping import Basket, Mapping

BASKETS: Final = "known_baskets"
"""Name of the table of places that `local_seconds` joins with."""

_CHUNK: Final = "chunk"
_LONGEST_GAP: Final = 36_500


def require_placeable(mapping: Mapping, *, again: bool = False, part: bool = False) -> None:
    """Refuse rows whose baskets would be placed elsewhere than before.

    Parameters
    ----------
    mapping
        How the rows are read.
    again
        Whether the source was imported before.
    part
        Whether only some rows of the source's files are at hand.

    Raises
    ------
    MappingError
        Baskets are counted back from the last one, which another import moves; or gaps are added up, of which some
        are missing.
    """
    basket = mapping.basket
    if basket is None or basket.alone:
        return
    if part:
        raise MappingError(
            "a basket that other baskets place in time cannot be imported without them",
            next_step="mend the file and import the whole of it, into a new home where [basket] says ends",
        )
    if again and basket.ends is not None:
        raise MappingError(
            "baskets that are counted back from each person's last one would move with a second import",
            value=mapping.source,
            next_step="import the whole source into a new home (ZHONGCAO_HOME), or give [basket] starts",
        )


def place_baskets(log: EventLog, inputs: Sequence[Input]) -> pa.Table | None:
    """Read through files once and place every basket of every person in time; None where none are numbered.

    Holds one row per basket in memory.

    Parameters
    ----------
    log
        For the time zone and settings.
    inputs
        All files of one import; they share a mapping.

    Returns
    -------
    pyarrow.Table
        ``who``, ``number`` and ``local``: wall-clock seconds as if they were UTC. A basket that a missing or
        contradictory gap leaves without a place is not in it.
    """
    mapping = inputs[0].mapping
    basket = mapping.basket
    if basket is None:
        return None
    con = duckdb.connect(config={"threads": log.settings.threads, "autoload_known_extensions": False})
    try:
        con.execute("CREATE TABLE seen (who VARCHAR, number BIGINT, gap DOUBLE)")
        places = _places(mapping)
        for given in inputs:
            for piece in given.reader.pieces():
                chunk = piece()
                held = [name for name in places if name in chunk.table.column_names]
                con.register(_CHUNK, chunk.table.select(held).rename_columns([places[name] for name in held]))
                if len(held) == len(places):
                    con.execute(f"INSERT INTO seen SELECT DISTINCT {_seen(mapping, places)} FROM {_CHUNK}")  # noqa: S608
        return con.sql(_placed(basket)).to_arrow_table()
    finally:
        con.close()


def local_seconds(mapping: Mapping, places: dict[str, str], *, trim: bool) -> str:
    """Return the SQL of the wall-clock seconds of a chunk's rows, in their order; null where there is no place."""
    who, number = _who(mapping, places, trim=trim), _number(mapping, places, trim=trim)
    return (
        f"SELECT local FROM (SELECT record, {who} AS who, {number} AS number FROM {_CHUNK}) "  # noqa: S608
        f"LEFT JOIN {BASKETS} USING (who, number) ORDER BY record"
    )


def _places(mapping: Mapping) -> dict[str, str]:
    return {name: f"c{number}" for number, name in enumerate(mapping.source_columns)}


def _seen(mapping: Mapping, places: dict[str, str]) -> str:
    gap = "NULL"
    if mapping.basket is not None and mapping.basket.days_since is not None:
        days = f"TRY_CAST(trim(CAST({quoted(places[str(mapping.basket.days_since)])} AS VARCHAR)) AS DOUBLE)"
        gap = f"CASE WHEN {days} BETWEEN 0 AND {_LONGEST_GAP} THEN {days} END"
    return f"{_who(mapping, places, trim=True)}, {_number(mapping, places, trim=True)}, {gap}"


def _who(mapping: Mapping, places: dict[str, str], *, trim: bool) -> str:
    given = {**mapping.made, **mapping.columns}
    texts = [text_of(mapping, name, given[name], places, trim=trim) for name in ("platform", "account")]
    return " || chr(31) || ".join(texts)


def _number(mapping: Mapping, places: dict[str, str], *, trim: bool) -> str:
    number = (
        f"TRY_CAST({text_of(mapping, 'event_time', mapping.columns['event_time'], places, trim=trim)} AS DOUBLE)"
    )
    return f"CASE WHEN {number} BETWEEN 0 AND 1e9 AND {number} = trunc({number}) THEN CAST({number} AS BIGINT) END"


def _placed(basket: Basket) -> str:
    held = (
        "SELECT who, number, CASE WHEN min(gap) = max(gap) THEN min(gap) END AS gap FROM seen "
        "WHERE who IS NOT NULL AND number IS NOT NULL GROUP BY ALL"
    )
    if basket.step_days is not None:
        counted_from = "1" if basket.ends is None else "max(number) OVER (PARTITION BY who)"
        days = f"SELECT who, number, (number - {counted_from}) * {basket.step_days} AS days FROM ({held})"  # noqa: S608
    elif basket.ends is None:
        days = _added_up(held, "number <= 1", "lag(number) OVER w = number - 1", "gap", "number")
    else:
        days = _added_up(
            held,
            "lead(number) OVER w IS NULL",
            "lead(number) OVER w = number + 1",
            "-lead(gap) OVER w",
            "number DESC",
        )
    # The day's wall-clock time, counted as if it were UTC.
    anchor = instant_of(basket.starts or basket.ends or "", "UTC")
    local = f"CAST(floor({anchor} + days * {DAY_SECONDS}) AS BIGINT)"
    return f"SELECT who, number, {local} AS local FROM ({days}) WHERE days IS NOT NULL"  # noqa: S608


def _added_up(held: str, first: str, neighbours: str, gap: str, order: str) -> str:
    """Return the SQL of the days from the first basket in an order; null from a basket without a known gap on."""
    link = f"CASE WHEN {first} THEN 0 WHEN {neighbours} THEN {gap} END"
    links = f"SELECT who, number, {link} AS link FROM ({held}) WINDOW w AS (PARTITION BY who ORDER BY number)"  # noqa: S608
    return (
        "SELECT who, number, CASE WHEN bool_and(link IS NOT NULL) OVER w THEN sum(link) OVER w END AS days "  # noqa: S608
        f"FROM ({links}) WINDOW w AS (PARTITION BY who ORDER BY {order})"
    )
