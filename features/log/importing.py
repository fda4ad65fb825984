"""One import: outside files become one atomic version of a canonical table."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.progress import Progress

from features.errors import EventLogError
from features.locks import exclusive
from features.log.baskets import place_baskets, require_placeable
from features.log.canonical import Canonicaliser, Catalogue
from features.log.dedupe import CONTRADICTION, Settlement, settle
from features.log.event_log import EventLog
from features.log.input import Input
from features.log.parts import PartWriter, Stamp
from features.log.quarantine import Quarantine
from features.log.spool import Spool
from features.log.without_erased import without_erased
from features.people.identity import Pseudonyms, load_key
from features.rights.tombstones import Tombstones
from features.settings import Settings
from features.sources.mapping import Mapping
from features.sources.reader import Piece, Reason, Refused


@dataclass
class Summary:
    """How an import went: read = accepted + duplicates + quarantined + skipped + erased.

    Parameters
    ----------
    table, source
        Where the rows went and where they came from.
    version
        Version of the table that holds them.
    read, accepted, duplicates, quarantined, skipped
        Numbers of rows; skipped are those that the mapping declares to be no events.
    erased
        Rows of people who were erased; they are kept nowhere.
    reasons
        Problem → number of quarantined rows that have it.
    unknown_items, unknown_notes
        Accepted events that name an item or note which the log does not know.
    quarantine
        Name of the quarantine file, empty where nothing was refused.
    seconds
        Wall time.
    """

    table: str
    source: str
    version: int = -1
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    skipped: int = 0
    erased: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    unknown_items: int = 0
    unknown_notes: int = 0
    quarantine: str = ""
    seconds: float = 0.0


@contextmanager
def import_lock(settings: Settings) -> Iterator[None]:
    """Let one import at a time change the log.

    Raises
    ------
    EventLogError
        Another import is running.
    """
    busy = EventLogError("another import is writing to this log", next_step="wait until it is done, then try again")
    with exclusive(settings.home / "import.lock", busy):
        _sweep(settings)
        yield


def _sweep(settings: Settings) -> None:
    """Remove the working files of an import that was cut off."""
    for folder in settings.work_dir.glob("import-*"):
        shutil.rmtree(folder)
    for draft in settings.quarantine_dir.glob("*.draft"):
        draft.unlink()


def import_rows(
    log: EventLog,
    inputs: Sequence[Input],
    *,
    backfill: bool = False,
    bar: Progress | None = None,
    now: int | None = None,
) -> Summary:
    """Import files of one source into one table; hold `import_lock` while it runs.

    Parameters
    ----------
    log
        The log.
    inputs
        Files with their mappings, all of the same table and source.
    backfill
        The rows were known when they happened, though the source was imported before.
    bar
        Progress display, advanced by bytes.
    now
        Time of acceptance, epoch seconds; the clock by default.

    Raises
    ------
    EventLogError, MappingError, SourceError
        Nothing can be imported at all; the log is as it was.
    """
    started = time.monotonic()
    accepted_at = int(time.time()) if now is None else now
    first = inputs[0].mapping
    canonical = first.canonical
    target = log.log_table(canonical.name)
    target.recover()
    import_id = f"{accepted_at}-{uuid.uuid4().hex[:12]}"
    seen_before = any(entry.get("source") == first.source for entry in target.history())
    require_placeable(first, again=seen_before)
    summary = Summary(canonical.name, first.source)
    spool = Spool(log.settings.work_dir / f"import-{import_id}")
    try:
        with Quarantine.writing(log.settings, import_id, inputs) as quarantine:
            _spool_all(log, inputs, spool, quarantine, summary=summary, now=accepted_at, bar=bar)
            chunks = spool.chunks
            settlement = settle(log, canonical, chunks)
            _refuse_contradictions(inputs, settlement, quarantine)
            summary.duplicates = settlement.duplicates
            summary.quarantined = quarantine.rows
            summary.reasons = dict(quarantine.reasons.most_common())
            left_out = summary.duplicates + summary.quarantined + summary.skipped + summary.erased
            summary.accepted = summary.read - left_out
            names = [f"part-{import_id}-{n:04d}.parquet" for n in range(len(chunks))]
            if summary.accepted:
                target.announce(names)
            writer = PartWriter(target.folder, canonical, names, log.timezone, accepted_at)
            delays = [None if seen_before and not backfill else i.mapping.arrival_delay for i in inputs]
            for chunk, verdict in zip(chunks, settlement.verdicts, strict=True):
                mapping = inputs[chunk.file].mapping
                stamp = Stamp(mapping.source, mapping.true_from, delays[chunk.file], log.currency)
                writer.write(chunk, verdict, stamp)
            parts = writer.close()
            summary.quarantine = quarantine.keep()
            summary.seconds = round(time.monotonic() - started, 3)
            if parts:
                summary.version = target.commit(parts, _said(summary, first, inputs, import_id, backfill))
            else:
                summary.version = target.version
    finally:
        spool.close()
    return summary


def _said(
    summary: Summary, mapping: Mapping, inputs: Sequence[Input], import_id: str, backfill: bool
) -> dict[str, Any]:
    said = asdict(summary)
    said.pop("version")
    files = [i.reader.name for i in inputs]
    return said | {"import": import_id, "mapping": mapping.hash, "files": files, "backfill": backfill}


def _spool_all(
    log: EventLog,
    inputs: Sequence[Input],
    spool: Spool,
    quarantine: Quarantine,
    *,
    summary: Summary,
    now: int,
    bar: Progress | None,
) -> None:
    """Read every file, a bounded number of chunks at a time, and spool the canonical rows."""
    threads = log.settings.threads
    catalogue = catalogue_of(log) if summary.table == "events" else None
    pseudonyms = Pseudonyms(load_key(log.settings))
    task = bar.add_task(f"import {summary.table}", total=sum(i.reader.size for i in inputs)) if bar else None
    waiting: list[Future[None]] = []
    baskets = place_baskets(log, inputs)
    tombstones = Tombstones(log.settings)

    with ThreadPoolExecutor(threads) as pool:
        for file, given in enumerate(inputs):
            make = Canonicaliser(given.mapping, log, pseudonyms, catalogue, now, baskets=baskets)

            def work(number: int, piece: Piece, file: int = file, make: Canonicaliser = make) -> None:
                chunk = piece()
                made, erased = without_erased(make(chunk), make.mapping, tombstones)
                spool.put(file, number, made.table)
                with quarantine.lock:
                    quarantine.add(file, made.refused)
                    summary.erased += erased
                    summary.read += chunk.table.num_rows + len(chunk.broken)
                    summary.skipped += made.skipped
                    summary.unknown_items += made.unknown_items
                    summary.unknown_notes += made.unknown_notes
                if bar and task is not None:
                    bar.advance(task, chunk.size)

            for number, piece in enumerate(given.reader.pieces()):
                waiting.append(pool.submit(work, number, piece))
                while len(waiting) > threads:
                    waiting.pop(0).result()
        for future in waiting:
            future.result()
    tombstones.close()


def catalogue_of(log: EventLog) -> Catalogue:
    """Return what the log knows about items and notes now."""
    con = log.connect()
    try:
        items = log.table(con, "items").project("item, brand, category, own_label").to_arrow_table()
        notes = log.table(con, "notes").project("note, creator, topic, category, brand, campaign").to_arrow_table()
    finally:
        con.close()
    return Catalogue(items, notes)


def _refuse_contradictions(inputs: Sequence[Input], settlement: Settlement, quarantine: Quarantine) -> None:
    """Fetch the rows behind contradictory ids from their files once more, to keep them as they stand there."""
    wanted: dict[int, dict[int, str]] = {}
    for file, record, row_id in settlement.contradictions:
        wanted.setdefault(file, {})[record] = row_id
    for file, ids in wanted.items():
        for piece in inputs[file].reader.pieces():
            chunk = piece()
            records = chunk.records.to_pylist()
            places = [place for place, record in enumerate(records) if record in ids]
            refused = [
                Refused(records[place], line, raw, (Reason("event_id", CONTRADICTION, ids[records[place]]),))
                for place, (line, raw) in zip(places, chunk.locate(places), strict=True)
            ]
            quarantine.add(file, refused)
