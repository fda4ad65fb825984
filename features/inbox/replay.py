"""Quarantined rows go through the pipeline again, after the mapping or the rows were mended."""

from __future__ import annotations

from rich.progress import Progress

from features.inbox.live_quarantine import FORM, LiveRefused
from features.log.baskets import require_placeable
from features.log.event_log import EventLog
from features.log.importing import Summary, import_lock, import_rows
from features.log.input import Input
from features.log.quarantine import load, path_of
from features.sources.mapping import Mapping, mapping_of
from features.sources.open_reader import RefusedReader


def replay(log: EventLog, name: str, *, mapping: Mapping | None = None, bar: Progress | None = None) -> Summary:
    """Import the rows of a quarantine once more.

    Rows that are good now go into the log, those that still are not make a new quarantine, and the old one is
    gone: read = accepted + duplicates + skipped + quarantined holds over its rows.

    Parameters
    ----------
    log
        The log.
    name
        Name of the quarantine.
    mapping
        The mended mapping; the one that they were refused by, if it was the rows that were mended.
    bar
        Progress display.

    Raises
    ------
    EventLogError, MappingError
        There is no such quarantine, or nothing can be imported at all; everything is as it was.
    """
    inputs = []
    for file in load(log.settings, name):
        used = mapping or mapping_of(file.mapping, file.name)
        require_placeable(used, part=True)
        if file.form == FORM and mapping is None:
            inputs.append(Input(LiveRefused(file.name, file.rows, log.currency), used))
        else:
            form = "jsonl" if file.form == FORM else file.form
            inputs.append(Input(RefusedReader(file.name, form, file.header, file.rows, used), used))
    path = path_of(log.settings, name)
    if not inputs:
        path.unlink()
        return Summary("events", name)
    with import_lock(log.settings):
        summary = import_rows(log, inputs, bar=bar)
        path.unlink(missing_ok=True)
    return summary
