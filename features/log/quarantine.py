"""Rows that were refused, kept as they stood in their file, with the reasons, until they are replayed."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Self

from features.errors import EventLogError
from features.log.input import Input
from features.settings import Settings
from features.sources.reader import Reason, Refused


class Quarantine:
    """The refused rows of one import: one JSON line per file that was read, then one per row.

    Parameters
    ----------
    path
        Where `keep` puts them; nothing is there before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self._draft = path.with_suffix(".draft")
        self._file: IO[str] | None = None
        self._files: list[str] = []
        self._keys: set[bytes] = set()

    @classmethod
    @contextmanager
    def writing(cls, settings: Settings, import_id: str, inputs: Sequence[Input]) -> Iterator[Self]:
        """Collect the refused rows of an import; forget them if it fails before `keep`."""
        settings.quarantine_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        quarantine = cls(settings.quarantine_dir / f"{import_id}.jsonl")
        with quarantine._draft.open("w", encoding="utf-8") as file:
            quarantine._file = file
            for number, given in enumerate(inputs):
                quarantine._files.append(given.reader.name)
                quarantine._line(
                    {
                        "input": number,
                        "file": given.reader.name,
                        "form": given.reader.form,
                        "header": given.reader.header,
                        "mapping": given.mapping.model_dump(exclude_defaults=True),
                    }
                )
            try:
                yield quarantine
            finally:
                quarantine._draft.unlink(missing_ok=True)

    def add(self, number: int, refused: Sequence[Refused]) -> None:
        """Keep refused rows of input `number`."""
        for row in refused:
            self.rows += 1
            self._keys.add(_key(self._files[number], row.line, row.raw))
            for reason in row.reasons:
                self.reasons[f"{reason.column}: {reason.problem}"] += 1
            reasons = [{"column": r.column, "problem": r.problem, "value": r.value} for r in row.reasons]
            self._line({"of": number, "record": row.record, "line": row.line, "raw": row.raw, "reasons": reasons})

    def keep(self) -> str:
        """Put the rows in place of what older quarantines hold of them.

        Returns
        -------
        str
            The quarantine's name, empty where there are no rows.
        """
        if not self.rows or self._file is None:
            return ""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._draft.replace(self.path)
        for older in self.path.parent.glob("*.jsonl"):
            if older != self.path:
                self._take_over(older)
        return self.path.stem

    def _take_over(self, older: Path) -> None:
        """Remove from an older quarantine the rows that this one holds; remove it when none is left."""
        files: dict[int, str] = {}
        kept, left, taken = [], 0, 0
        for line in lines_of(older):
            entry = json.loads(line)
            if "input" in entry:
                files[entry["input"]] = entry["file"]
            elif _key(files[entry["of"]], entry["line"], entry["raw"]) in self._keys:
                taken += 1
                continue
            else:
                left += 1
            kept.append(line)
        if not left:
            older.unlink()
        elif taken:
            draft = older.with_suffix(".draft")
            draft.write_text("\n".join(kept) + "\n", encoding="utf-8")
            draft.replace(older)

    def _line(self, content: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(content, ensure_ascii=False) + "\n")


def lines_of(path: Path) -> list[str]:
    """Return the lines of a quarantine's file, each a JSON document."""
    # Not splitlines: a refused text may hold line separators such as U+2028, which JSON leaves as they are.
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _key(file: str, line: int, raw: str) -> bytes:
    return blake2b(f"{file}\x1f{line}\x1f{raw}".encode(), digest_size=16).digest()


@dataclass(frozen=True)
class QuarantinedFile:
    """What a quarantine holds of one file that was read.

    Parameters
    ----------
    name
        The file's name.
    form
        csv, tsv, jsonl or parquet.
    header
        Its header line, empty where it has none.
    mapping
        Content of the mapping that it was read with.
    rows
        The refused rows.
    """

    name: str
    form: str
    header: str
    mapping: dict[str, Any]
    rows: list[Refused]


def names(settings: Settings) -> list[str]:
    """Return the names of all quarantines, oldest first."""
    return sorted(path.stem for path in settings.quarantine_dir.glob("*.jsonl"))


def path_of(settings: Settings, name: str) -> Path:
    """Return the file of a quarantine.

    Raises
    ------
    EventLogError
        There is no such quarantine.
    """
    known = names(settings)
    if name not in known:
        raise EventLogError("no such quarantine", value=name, valid=known, next_step="see zhongcao quarantine list")
    return settings.quarantine_dir / f"{name}.jsonl"


def load(settings: Settings, name: str) -> list[QuarantinedFile]:
    """Read a quarantine.

    Raises
    ------
    EventLogError
        There is no such quarantine, or its file was damaged by editing.
    """
    path = path_of(settings, name)
    files: dict[int, QuarantinedFile] = {}
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if "input" in entry:
                files[entry["input"]] = QuarantinedFile(
                    entry["file"], entry["form"], entry["header"], entry["mapping"], []
                )
            else:
                reasons = tuple(Reason(r["column"], r["problem"], r["value"]) for r in entry["reasons"])
                row = Refused(entry["record"], entry["line"], entry["raw"], reasons)
                files[entry["of"]].rows.append(row)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise EventLogError(
                f"line {number} of {path} is no quarantine entry",
                next_step="edit only the text of raw",
            ) from error
    return [file for file in files.values() if file.rows]


def counts(settings: Settings) -> dict[str, int]:
    """Return the number of rows in each quarantine."""
    return {name: sum(len(file.rows) for file in load(settings, name)) for name in names(settings)}


def reasons_of(files: Sequence[QuarantinedFile]) -> Counter[str]:
    """Return how many rows were refused for each reason."""
    return Counter(f"{r.column}: {r.problem}" for file in files for row in file.rows for r in row.reasons)
