"""From a mapping to SQL: the canonical value of each column, and what makes it invalid."""

from __future__ import annotations

from dataclasses import dataclass

from features.events import EARLIEST_TIME, KINDS, Column
from features.sources.amounts import minor_units, signs_of
from features.sources.mapping import Constant, Mapping, Reference

LOCAL_TIME = "local "
KEYED = "keyed "
_LARGEST_INTEGER = 9_000_000_000_000_000


@dataclass(frozen=True)
class ColumnPlan:
    """How one canonical column is made.

    Parameters
    ----------
    column
        The canonical column.
    text
        SQL of its text as the source has it, null where there is none.
    value
        SQL of its typed value over ``r."name"``, the text; null where the text is no such value.
    valid
        SQL over ``value`` for values that are typed but may still be refused.
    problem
        What is wrong when it is refused.
    label
        Name for messages.
    """

    column: Column
    text: str
    value: str
    valid: str
    problem: str
    label: str


def quoted(name: str) -> str:
    """Return a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | float | bool) -> str:
    """Return a SQL text literal."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"


def text_of(mapping: Mapping, name: str, reference: Reference, places: dict[str, str], *, trim: bool) -> str:
    """Return the SQL of a column's text: cleaned, translated, null where the source has no value.

    Parameters
    ----------
    mapping
        The mapping.
    name
        Canonical column.
    reference
        Where the mapping takes it from.
    places
        Source column → column of the table that the SQL runs on.
    trim
        Whether texts may have blanks around them.
    """
    if isinstance(reference, Constant):
        return literal(reference.constant)
    single = reference if isinstance(reference, list) else [reference]
    cleaned = [_cleaned(places[str(column)], mapping.nulls, trim=trim) for column in single]
    text = cleaned[0]
    if len(cleaned) > 1:
        joined = " || ':' || ".join(f"coalesce({part}, '')" for part in cleaned)
        text = f"CASE WHEN coalesce({', '.join(cleaned)}) IS NOT NULL THEN {joined} END"
    words = dict(mapping.values.get(name, {})) | (mapping.kinds if name == "kind" else {})
    if words:
        cases = " ".join(f"WHEN {literal(source)} THEN {literal(meant)}" for source, meant in words.items())
        text = f"CASE {text} {cases} ELSE {text} END"
    return text


def _cleaned(column: str, nulls: list[str], *, trim: bool) -> str:
    text = f"CAST({quoted(column)} AS VARCHAR)"
    if trim:
        text = f"trim({text}, E' \\t\\r')"
    if nulls:
        return f"CASE WHEN {text} IN ('', {', '.join(literal(null) for null in nulls)}) THEN NULL ELSE {text} END"
    return f"nullif({text}, '')"


def plan(
    mapping: Mapping, places: dict[str, str], *, currency: str, now: int, order_start: int, trim: bool
) -> list[ColumnPlan]:
    """Return how each mapped column of the mapping's table is made, in canonical order.

    Parameters
    ----------
    mapping
        The mapping.
    places
        Source column → column of the table that the SQL runs on.
    currency
        Currency of the log.
    now
        Time of acceptance; nothing can have happened or arrived later.
    order_start
        Instant of the first row where time is mere order.
    trim
        Whether texts may have blanks around them.
    """
    given: dict[str, Reference] = {**mapping.made, **mapping.columns}
    plans = []
    for column in mapping.canonical.columns:
        ordered = mapping.order is not None and column.name == mapping.true_from
        if column.name not in given and not ordered:
            continue
        reference = given.get(column.name, "order")
        text = "'order'" if ordered else text_of(mapping, column.name, reference, places, trim=trim)
        value, problem = _typed(mapping, column, currency)
        if ordered and mapping.order is not None:
            value = f"{order_start} + record * {mapping.order.step_seconds}"
        valid = _range(column, now if mapping.table == "events" or column.name == "arrived_at" else None)
        label = column.name
        if not isinstance(reference, Constant) and reference != column.name and not ordered:
            columns = reference if isinstance(reference, list) else [reference]
            label += f" ({' + '.join(str(c) for c in columns)})"
        if column.name == "kind":
            valid = f"IN ({', '.join(literal(kind) for kind in KINDS)})"
            problem = f"no event kind; valid: {', '.join(KINDS)}, or translate it in [kinds]"
        elif column.name == "currency":
            valid, problem = f"= {literal(currency)}", f"another currency than the log's; valid: {currency}"
        plans.append(ColumnPlan(column, text, value, valid, problem, label))
    return plans


def _typed(mapping: Mapping, column: Column, currency: str) -> tuple[str, str]:
    """Return SQL from the text ``r`` to the value, and the problem of texts for which that is null."""
    raw = f"r.{quoted(column.name)}"
    number = f"TRY_CAST({raw} AS DOUBLE)"
    match column.type:
        case "account" | "person":
            return quoted(KEYED + column.name), "not an id"
        case "time":
            return _time(mapping, column, number), _time_problem(mapping)
        case "money":
            return _money(mapping, column, raw, mapping.currency or currency)
        case "integer" if column.name == "dwell_ms" and mapping.dwell == "s":
            return _whole(f"round({number} * 1000)"), f"no number of seconds; valid: {_bounds(column)}"
        case "integer":
            return _whole(number, f" AND {number} = trunc({number})"), f"no whole number; valid: {_bounds(column)}"
        case _:
            plain = {
                "number": (
                    f"CASE WHEN isfinite({number}) THEN {number} END",
                    f"no number; valid: {_bounds(column)}",
                ),
                "flag": (f"TRY_CAST({raw} AS BOOLEAN)", "neither true nor false; valid: true, false, 1, 0"),
            }
            return plain.get(column.type, (raw, "no text"))


def _time(mapping: Mapping, column: Column, number: str) -> str:
    scale = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}.get(mapping.time)
    return quoted(LOCAL_TIME + column.name) if scale is None else _whole(f"floor({number} / {scale})")


def _money(mapping: Mapping, column: Column, raw: str, currency: str) -> tuple[str, str]:
    digits = mapping.minor_digits(currency)
    major = mapping.money == "major"
    # A sign says major units, so beside minor ones of a currency that has both it would leave the unit open.
    signs = signs_of(currency) if major or not digits else []
    beside = f"beside it {' or '.join(signs)} or nothing" if signs else "nothing beside it"
    if major:
        problem = f"no amount of {currency}; valid: 0 or more with at most {digits} decimals, {beside}"
    else:
        problem = f"no whole number; valid: {_bounds(column)}, {beside}"
    return minor_units(raw, digits if major else 0, signs), problem


def _whole(value: str, also: str = "") -> str:
    return f"CASE WHEN abs({value}) <= {_LARGEST_INTEGER}{also} THEN CAST({value} AS BIGINT) END"


def _range(column: Column, now: int | None) -> str:
    if column.type == "time":
        return f"BETWEEN {EARLIEST_TIME} AND {now}" if now is not None else f">= {EARLIEST_TIME}"
    if column.low is None:
        return ""
    return f">= {column.low:g}" if column.high is None else f"BETWEEN {column.low:g} AND {column.high:g}"


def _bounds(column: Column) -> str:
    if column.low is None:
        return "any"
    return f"{column.low:g} or more" if column.high is None else f"{column.low:g} to {column.high:g}"


def _time_problem(mapping: Mapping) -> str:
    if mapping.basket is None:
        return f"no time from 1990 until now; valid: {_time_words(mapping)}"
    chained = ", each with one number of days since the one before" if mapping.basket.days_since else ""
    return f"no basket with a place in time from 1990 until now; valid: 1, 2, 3{chained}"


def _time_words(mapping: Mapping) -> str:
    words = {
        "epoch_s": "seconds since 1970",
        "epoch_ms": "milliseconds since 1970",
        "epoch_us": "microseconds since 1970",
        "iso": "such as 2024-05-01 08:30:00",
        "day": "such as 2024-05-01",
    }
    return words.get(mapping.time, mapping.time)
