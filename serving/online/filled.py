"""Which versions of the log a store was filled from, or has caught up with since."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from features.durable import write_durably
from features.locks import exclusive
from features.settings import Settings

_NAMED: Final = re.compile(r"\b(events|identities|notes|note_items|items)=(-?\d+)")
_OF_ROWS: Final = re.compile(r"v(\d+)-")


def note_filled(settings: Settings, reader: str, fill: str, versions: Mapping[str, int]) -> None:
    """Keep which versions of the log's tables a store holds.

    Parameters
    ----------
    settings
        Whose home.
    reader
        Of the inbox, which feeds the store.
    fill
        Name of what the store holds; of any other fill nothing is known by this.
    versions
        Table → version.
    """
    with exclusive(settings.work_dir / "filled.lock"):
        noted = _noted(settings) | {reader: {"fill": fill, "versions": dict(versions)}}
        write_durably(settings.filled_file, json.dumps(noted, indent=1))


def filled_from(settings: Settings, reader: str, fill: str) -> dict[str, int]:
    """Return table → version of the log that a store holds, as far as that is known.

    Examples
    --------
    >>> nowhere = Settings(home="/nowhere")
    >>> filled_from(nowhere, "histories", "3 1512086400 log events=7 identities=2 0a1b2c")
    {'events': 7, 'identities': 2}
    >>> filled_from(nowhere, "tags", "v12-400-9d8e7f 0a1b2c")
    {'events': 12}
    """
    noted = _noted(settings).get(reader)
    if noted is not None and noted["fill"] == fill:
        versions: dict[str, int] = noted["versions"]
        return versions
    if named := _NAMED.findall(fill):
        return {table: int(version) for table, version in named}
    found = _OF_ROWS.match(fill)
    return {"events": int(found[1])} if found else {}


def _noted(settings: Settings) -> dict[str, Any]:
    path = settings.filled_file
    noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return noted
