"""Chunks of source columns become canonical rows; rows that cannot be are refused with reasons."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.days import utc_of_local
from features.errors import MappingError
from features.log.baskets import BASKETS, local_seconds
from features.log.canonical_sql import KEYED, LOCAL_TIME, ColumnPlan, literal, plan, quoted, text_of
from features.log.event_log import EventLog, connect
from features.people.identity import Pseudonyms
from features.sources.mapping import SKIP, Constant, Mapping, Reference
from features.sources.reader import Chunk, Reason, Refused

ID_HASH = "id_hash"
NOT_CONTENT = ("source", "arrived_at", "day", "currency")
FILLED_FROM_ITEMS = ("brand", "category", "own_label")
FILLED_FROM_NOTES = ("creator", "topic", "category", "brand", "campaign")
_CHUNK = "chunk"


@dataclass(frozen=True)
class Catalogue:
    """What is known about items and notes when events are imported.

    Parameters
    ----------
    items
        Columns item, brand, category, own_label.
    notes
        Columns note, creator, topic, category, brand, campaign.
    """

    items: pa.Table
    notes: pa.Table


@dataclass(frozen=True)
class Canonical:
    """The canonical rows of one chunk.

    Parameters
    ----------
    table
        ``record``, the mapped canonical columns, the key, and ``id_hash`` (uint64).
    refused
        Rows that are not valid.
    skipped
        Rows that the mapping declares to be no events.
    unknown_items, unknown_notes
        Valid rows that name an item or a note which the catalogue does not hold.
    """

    table: pa.Table
    refused: list[Refused]
    skipped: int
    unknown_items: int
    unknown_notes: int


class Canonicaliser:
    """Turns chunks of one mapping into canonical rows; may be called by several threads.

    Parameters
    ----------
    mapping
        How source columns become canonical ones.
    log
        The log, for its settings, time zone and currency.
    pseudonyms
        Keyed hashes of outside ids.
    catalogue
        Items and notes that fill empty columns of events; None for other tables.
    now
        Time of acceptance, epoch seconds.
    baskets
        Where baskets lie in time, of `features.log.baskets.place_baskets`, where the mapping numbers them.
    """

    def __init__(
        self,
        mapping: Mapping,
        log: EventLog,
        pseudonyms: Pseudonyms,
        catalogue: Catalogue | None,
        now: int,
        *,
        baskets: pa.Table | None = None,
    ) -> None:
        self.mapping = mapping
        self._log = log
        self._zone = mapping.timezone or log.timezone
        self._pseudonyms = pseudonyms
        self._now = now
        self._order_start = mapping.order_start(log.timezone)
        self._given: dict[str, Reference] = {**mapping.made, **mapping.columns}
        self._used = mapping.source_columns
        self._places = {name: f"c{number}" for number, name in enumerate(self._used)}
        self._local = threading.local()
        self._baskets = baskets
        self._items, self._notes = None, None
        if catalogue is not None and mapping.table == "events":
            self._items = catalogue.items if "item" in self._given and catalogue.items.num_rows else None
            self._notes = catalogue.notes if "note" in self._given and catalogue.notes.num_rows else None

    def __call__(self, chunk: Chunk) -> Canonical:
        """Return the canonical rows of a chunk, and why the others are refused."""
        source, trim = self._source(chunk), chunk.padded
        plans = plan(
            self.mapping,
            self._places,
            currency=self._log.currency,
            now=self._now,
            order_start=self._order_start,
            trim=trim,
        )
        source = self._with_python_columns(source, trim)
        rows = self._run(self._sql(plans), source)
        ok, skipped = rows["ok"], rows["skipped"]
        refused = list(chunk.broken)
        accepted = rows
        all_ok = pc.all(ok, min_count=0).as_py()
        if not all_ok:
            bad = np.flatnonzero(~ok.to_numpy())
            refused += self._explained(plans, chunk, source.take(pa.array(bad)), bad)
            refused.sort(key=lambda row: row.record)
            accepted = rows.filter(ok)
        number_skipped = int(pc.sum(skipped).as_py() or 0)
        if number_skipped:
            accepted = accepted.filter(pc.invert(accepted["skipped"]))
        unknown = [
            int(pc.sum(accepted[name]).as_py() or 0) if name in accepted.column_names else 0
            for name in ("unknown item", "unknown note")
        ]
        extra = [n for n in ("ok", "skipped", "unknown item", "unknown note") if n in accepted.column_names]
        return Canonical(accepted.drop_columns(extra), refused, number_skipped, *unknown)

    def _source(self, chunk: Chunk) -> pa.Table:
        missing = [name for name in self._used if name not in chunk.table.column_names]
        if missing:
            raise MappingError(
                "the data has no column", value=missing[0], valid=chunk.table.column_names,
                next_step="mend [columns] of the mapping",
            )  # fmt: skip
        columns = [chunk.table[name] for name in self._used]
        return pa.table([*columns, chunk.records], names=[*self._places.values(), "record"])

    def _with_python_columns(self, source: pa.Table, trim: bool) -> pa.Table:
        """Append what SQL cannot make: keyed hashes and times of a zone."""
        selected = []
        texts = {
            name: text_of(self.mapping, name, reference, self._places, trim=trim)
            for name, reference in self._given.items()
        }
        types = {c.name: c.type for c in self.mapping.canonical.columns}
        counted = self.mapping.time.startswith(("epoch", "order", "basket"))
        times = [] if counted else [n for n in texts if types[n] == "time"]
        keyed = [name for name in texts if types[name] in ("account", "person")]
        if self._baskets is not None:
            local = self._run(local_seconds(self.mapping, self._places, trim=trim), source)["local"]
            value = _in_utc(local, pa.chunked_array([pa.repeat(False, len(local))]), self._zone)
            source = source.append_column(f"{LOCAL_TIME}event_time", value)
        for name in times:
            seconds, offset = _local_seconds(self.mapping.time, texts[name])
            selected += [f"{seconds} AS {quoted(LOCAL_TIME + name)}", f"{offset} AS {quoted('offset ' + name)}"]
        selected += [f"{texts[name]} AS {quoted(KEYED + name)}" for name in keyed]
        if not selected:
            return source
        platform = self._given.get("platform")
        constant = str(platform.constant) if isinstance(platform, Constant) else None
        if constant is None and platform is not None and keyed:
            selected.append(f"{texts['platform']} AS platform")
        made = self._run(f"SELECT {', '.join(selected)} FROM {_CHUNK}", source)  # noqa: S608
        for name in times:
            value = _in_utc(made[LOCAL_TIME + name], made["offset " + name], self._zone)
            source = source.append_column(LOCAL_TIME + name, value)
        for name in keyed:
            platforms = None if constant is not None or types[name] == "person" else made["platform"]
            value = self._pseudonym(made[KEYED + name], types[name], constant, platforms)
            source = source.append_column(KEYED + name, value)
        return source

    def _pseudonym(
        self, ids: pa.ChunkedArray, of: str, constant: str | None, platforms: pa.ChunkedArray | None
    ) -> pa.Array:
        if platforms is None:
            coded = ids.combine_chunks().dictionary_encode()
            words = coded.dictionary.to_pylist()
            made = self._pseudonyms
            keys = made.persons(words) if of == "person" else made.accounts(constant or "", words)
        else:
            # No platform's name holds the separator; what follows the first one is the id, whole.
            coded = pc.binary_join_element_wise(platforms, ids, "\x1f").combine_chunks().dictionary_encode()
            pairs = [word.split("\x1f", 1) for word in coded.dictionary.to_pylist()]
            keys = [self._pseudonyms.accounts(platform, [account])[0] for platform, account in pairs]
        return pc.take(pa.array(keys, pa.string()), coded.indices)

    def _sql(self, plans: Sequence[ColumnPlan]) -> str:
        names = [p.column.name for p in plans]
        events = self.mapping.table == "events"
        skipped = "coalesce(t.kind = 'skip', false)" if SKIP in self.mapping.kinds.values() else "false"
        ok = " AND ".join(_is_ok(p) for p in plans)
        if events and "arrived_at" in names:
            ok += " AND t.event_time <= t.arrived_at"
        key = self.mapping.canonical.key
        content = [f"'{n}=' || t.{quoted(n)}" for n in names if n not in (*NOT_CONTENT, key)]
        identity = f"md5(concat_ws(E'\\x1f', {', '.join(content)}))"
        if key in names:
            mapped = f"t.{quoted(key)}"
            if key == "row_id":
                identity = f"coalesce('id:' || {mapped}, {identity})"
            elif events:
                identity = f"coalesce(t.platform || ':' || t.kind || ':' || {mapped}, {identity})"
            else:
                identity = mapped
        selected = [f"{identity} AS {quoted(key)}"]
        joins = ""
        filled: dict[str, list[str]] = {n: [f"t.{quoted(n)}"] for n in names if n not in (key, "arrived_at")}
        if "arrived_at" in names:
            selected.append("t.arrived_at")
        for what, table, columns in (
            ("item", self._items, FILLED_FROM_ITEMS),
            ("note", self._notes, FILLED_FROM_NOTES),
        ):
            if table is not None:
                joins += f" LEFT JOIN known_{what}s AS {what}s ON {what}s.{what} = t.{what}"
                selected.append(f'(t.{what} IS NOT NULL AND {what}s.{what} IS NULL) AS "unknown {what}"')
                for column in columns:
                    filled.setdefault(column, []).append(f"{what}s.{column}")
            elif events and what in names:
                selected.append(f'(t.{what} IS NOT NULL) AS "unknown {what}"')
        selected += [f"coalesce({', '.join(values)}) AS {quoted(name)}" for name, values in filled.items()]
        inner = f"SELECT *, {ok} OR {skipped} AS ok, {skipped} AS skipped FROM ({self._typed_sql(plans)}) AS t"  # noqa: S608
        middle = f"SELECT t.record, t.ok, t.skipped, {', '.join(selected)} FROM ({inner}) AS t{joins}"  # noqa: S608
        return f"SELECT *, hash({quoted(key)}) AS {ID_HASH} FROM ({middle})"  # noqa: S608

    def _typed_sql(self, plans: Sequence[ColumnPlan]) -> str:
        texts = ", ".join(f"{p.text} AS {quoted(p.column.name)}" for p in plans)
        carried = ", ".join(
            quoted(prefix + p.column.name)
            for p in plans
            for prefix in (KEYED, LOCAL_TIME)
            if quoted(prefix + p.column.name) in p.value
        )
        carried = f"record{', ' + carried if carried else ''}"
        values = ", ".join(
            f"{p.value} AS {quoted(p.column.name)}, r.{quoted(p.column.name)} AS {quoted('text ' + p.column.name)}"
            for p in plans
        )
        return f"SELECT record, {values} FROM (SELECT {carried}, {texts} FROM {_CHUNK}) AS r"  # noqa: S608

    def _explained(
        self,
        plans: Sequence[ColumnPlan],
        chunk: Chunk,
        source: pa.Table,
        positions: npt.NDArray[np.int64],
    ) -> list[Refused]:
        checks = ", ".join(f"{_is_ok(p)}, t.{quoted('text ' + p.column.name)}" for p in plans)
        late = "false"
        if self.mapping.table == "events" and any(p.column.name == "arrived_at" for p in plans):
            late = "coalesce(t.event_time > t.arrived_at, false)"
        sql = f"SELECT t.record, {late}, {checks} FROM ({self._typed_sql(plans)}) AS t ORDER BY 1"  # noqa: S608
        con = self._connection()
        con.register(_CHUNK, source)
        found = con.execute(sql).fetchall()
        located = chunk.locate([int(position) for position in positions])
        refused = []
        for (record, is_late, *checked), (line, raw) in zip(found, located, strict=True):
            reasons = []
            for p, is_ok, text in zip(plans, checked[::2], checked[1::2], strict=True):
                if not is_ok:
                    reasons.append(Reason(p.label, "missing" if text is None else p.problem, text))
            if is_late:
                reasons.append(Reason("arrived_at", "before event_time; valid: the same time or later"))
            refused.append(Refused(record, line, raw, tuple(reasons)))
        return refused

    def _run(self, sql: str, source: pa.Table) -> pa.Table:
        con = self._connection()
        con.register(_CHUNK, source)
        return con.sql(sql).to_arrow_table()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        con: duckdb.DuckDBPyConnection | None = getattr(self._local, "con", None)
        if con is None:
            con = self._local.con = connect(self._log.settings, threads=1)
            tables = (("known_items", self._items), ("known_notes", self._notes), (BASKETS, self._baskets))
            for name, known in tables:
                if known is not None:
                    con.register("known", known)
                    con.execute(f"CREATE TABLE {name} AS SELECT * FROM known")  # noqa: S608
        return con


def _is_ok(p: ColumnPlan) -> str:
    value = f"t.{quoted(p.column.name)}"
    valid = f"coalesce({value} {p.valid}, false)" if p.valid else f"{value} IS NOT NULL"
    return valid if p.column.required else f"(t.{quoted('text ' + p.column.name)} IS NULL OR {valid})"


def _local_seconds(form: str, text: str) -> tuple[str, str]:
    """Return SQL of the seconds that a text says, and of whether it names its own offset."""
    if form == "iso":
        offset = f"regexp_matches({text}, ':\\d\\d(\\.\\d+)?\\s?(Z|[+-]\\d\\d(:?\\d\\d)?)$')"
        return f"CAST(floor(epoch(TRY_CAST({text} AS TIMESTAMPTZ))) AS BIGINT)", offset
    if form == "day":
        return f"CAST(epoch(TRY_CAST({text} AS DATE)) AS BIGINT)", "false"
    return (
        f"CAST(floor(epoch(try_strptime({text}, {literal(form)}))) AS BIGINT)",
        "true" if "%z" in form else "false",
    )


def _in_utc(seconds: pa.ChunkedArray, has_offset: pa.ChunkedArray, zone: str) -> pa.Array:
    known = seconds.fill_null(0).to_numpy()
    shifted = np.where(has_offset.fill_null(False).to_numpy(), known, utc_of_local(known, zone))
    return pa.array(shifted, pa.int64(), mask=seconds.is_null().to_numpy())
