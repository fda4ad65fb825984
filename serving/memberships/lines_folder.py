"""A folder of JSON lines, each part with a note of what it holds beside it; erasures find both."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import orjson

from features.durable import publish_file, write_durably
from serving.batch.folder import MANIFEST, PartFacts, ScoresFolder

PARTS: Final = "part-*.ndjson"


class LinesFolder(ScoresFolder):
    """Writes the changes of one export as JSON lines, see `ScoresFolder`."""

    def part(self, number: int) -> Path:
        """Return the file of a part."""
        return self.path / f"part-{number:05}.ndjson"

    def finished(self, number: int, depends_on: str) -> PartFacts | None:
        """Return what a part holds that an earlier start finished; None where it is to be made."""
        note = note_of(self.part(number))
        if not (note.exists() and self.part(number).exists()):
            return None
        said = json.loads(note.read_text(encoding="utf-8"))
        return PartFacts(**said["holds"]) if said["part"] == self._part_key(number, depends_on) else None

    @contextmanager
    def writing_lines(self, number: int, depends_on: str) -> Iterator[LinesWriter]:
        """Write a part; it gets its name once everything has reached the disk, and none if this fails."""
        draft = self.path / f".part-{number:05}.draft"
        (self.path / MANIFEST).unlink(missing_ok=True)
        draft.touch(mode=0o600)
        try:
            with draft.open("wb") as file:
                writer = LinesWriter(file)
                yield writer
            publish_file(draft, self.part(number))
            said = {"part": self._part_key(number, depends_on), "holds": asdict(writer.facts)}
            write_durably(note_of(self.part(number)), json.dumps(said))
        finally:
            draft.unlink(missing_ok=True)


class LinesWriter:
    """Takes the lines of one part."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lines = 0

    @property
    def facts(self) -> PartFacts:
        """What was written so far."""
        return PartFacts(self._lines, self._lines, {})

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line."""
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self._lines += 1


def note_of(part: Path) -> Path:
    """Return the note of what a part holds."""
    return part.with_suffix(".json")


def erase_people(folder: Path, keys: Collection[str], tag: str | None = None) -> int:
    """Delete the lines of some people, or one tag in them, from the parts of a folder; return how many lines."""
    removed = 0
    for path in sorted(folder.glob(PARTS)):
        lines = path.read_bytes().splitlines(keepends=True)
        anew = [_without(line, keys, tag) for line in lines]
        changed = sum(new != line for new, line in zip(anew, lines, strict=True))
        left = [line for line in anew if line]
        if not changed:
            continue
        draft = path.with_name(f".{path.name}.draft")
        draft.touch(mode=0o600)
        draft.write_bytes(b"".join(left))
        publish_file(draft, path)
        note = note_of(path)
        if note.exists():
            said = json.loads(note.read_text(encoding="utf-8"))
            said["holds"] |= {"people": len(left), "scores": len(left)}
            write_durably(note, json.dumps(said))
        removed += changed
    return removed


def _without(line: bytes, keys: Collection[str], tag: str | None) -> bytes:
    said = orjson.loads(line)
    if said.get("person") not in keys:
        return line
    if tag is None:
        return b""
    for change in ("added", "removed"):
        if tag in said.get(change, ()):
            said[change].remove(tag)
    left = {name: value for name, value in said.items() if value}
    return orjson.dumps(left, option=orjson.OPT_APPEND_NEWLINE) if len(left) > 1 else b""
