"""Small logs for tests: settings in a temporary home, files with their mappings, imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.log.event_log import EventLog
from features.log.importing import Summary, import_lock, import_rows
from features.log.input import Input
from features.settings import Settings, load_settings
from features.sources.mapping import Mapping, mapping_of
from features.sources.open_reader import open_reader

NOW = 1_790_000_000
COLUMNS = {"kind": "kind", "event_time": "t", "account": "user", "item": "item", "amount": "amount"}


def settings_in(home: Path, **more: object) -> Settings:
    return load_settings(home=home / "home", threads=2, **more)


def mapping(**more: Any) -> Mapping:
    content: dict[str, Any] = {"source": "shop", "time": "epoch_s", "platform": "shop", "columns": COLUMNS} | more
    return mapping_of(content, "test.toml")


def imported(settings: Settings, files: Path | list[Path], used: Mapping, **more: Any) -> Summary:
    log = EventLog.open(settings, create=True, currency=used.currency)
    paths = files if isinstance(files, list) else [files]
    with import_lock(settings):
        return import_rows(log, [Input(open_reader(path, used), used) for path in paths], **{"now": NOW} | more)


def written(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(settings: Settings, columns: str = "*", table: str = "events") -> list[tuple[Any, ...]]:
    log = EventLog.open(settings)
    con = log.connect()
    try:
        return sorted(log.table(con, table).project(columns).fetchall(), key=repr)
    finally:
        con.close()
