"""A world's folder: which world it holds, whether it is finished, and where its tables are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from features.durable import write_durably
from features.errors import SourceError
from features.world.settings import WorldSettings

DESCRIPTION: Final = "world.json"
TRUTH: Final = "truth"
_FORM: Final = 1


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the files of a table in a world's folder, in order."""
    whole = folder / f"{name}.parquet"
    return [whole] if whole.is_file() else sorted((folder / name).glob("*.parquet"))


def description(folder: Path) -> dict[str, Any]:
    """Return what a world's folder says about itself.

    Raises
    ------
    SourceError
        It is none, or it was not finished.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise SourceError(
            "no world there", value=str(folder),
            next_step="zhongcao world make --people N --days D --out FOLDER makes one",
        )  # fmt: skip
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "events" not in found:
        raise SourceError(
            "this world was not finished", value=str(folder), next_step="run the same zhongcao world make once more"
        )
    return found


def settings_of(found: dict[str, Any]) -> WorldSettings:
    """Return the settings that a description names."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["settings"].items()
    }
    return WorldSettings(**values)


def describe(
    folder: Path, settings: WorldSettings, policy: str, people_a_part: int, *, events: int | None = None
) -> None:
    """Write down which world a folder holds, and once it is finished how many events.

    Raises
    ------
    SourceError
        It holds another world, or something else.
    """
    path = folder / DESCRIPTION
    told = {"form": _FORM, "policy": policy, "people_a_part": people_a_part, "settings": asdict(settings)}
    told = json.loads(json.dumps(told))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if {name: before.get(name) for name in told} != told:
            raise SourceError("the folder holds another world", value=str(folder), next_step="name a new folder")
    elif folder.exists() and any(folder.iterdir()):
        raise SourceError("the folder is not empty", value=str(folder), next_step="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    if events is not None:
        told["events"] = events
    if events is not None or not path.is_file():
        write_durably(path, json.dumps(told, indent=2) + "\n")
