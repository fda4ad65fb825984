"""Imports a world like any other log: through mappings, never looking at its truth."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from features.log.event_log import EventLog
from features.log.importing import Summary, import_lock, import_rows
from features.log.input import Input
from features.settings import Settings
from features.sources.open_reader import open_reader
from features.world.folder import description, files_of
from features.world.mappings import TABLES_IN_ORDER, mapping
from features.world.rows import CURRENCY


def import_world(settings: Settings, folder: Path, *, bar: Progress | None = None) -> list[Summary]:
    """Import a world's tables and events, one version per table.

    Parameters
    ----------
    settings
        Settings of the installation.
    folder
        What ``zhongcao world make`` wrote.
    bar
        Progress display.

    Raises
    ------
    SourceError, EventLogError
        The folder holds no finished world, or the log is of another currency.
    """
    description(folder)
    log = EventLog.open(settings, create=True, currency=CURRENCY)
    summaries = []
    with import_lock(settings):
        for name in TABLES_IN_ORDER:
            read_with = mapping(name)
            inputs = [Input(open_reader(file, read_with), read_with) for file in files_of(folder, name)]
            if any(given.reader.size for given in inputs):
                summaries.append(import_rows(log, inputs, bar=bar))
    return summaries
