"""Scores of both models of some predictions, kept until it is known what came true."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.online.sqlite_file import SqliteFile, by_keys

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS scores (id TEXT PRIMARY KEY, person TEXT, as_of INTEGER NOT NULL,"
    " filled_at INTEGER NOT NULL, champion TEXT NOT NULL, names TEXT NOT NULL, rows TEXT NOT NULL,"
    " theirs BLOB NOT NULL, ours BLOB NOT NULL) WITHOUT ROWID"
)
FILE: Final = "scores.sqlite"


@dataclass(frozen=True)
class Scored:
    """A prediction that both models made.

    Parameters
    ----------
    id, person, as_of, filled_at, champion
        As in `serving.predictions.record.Made`; the champion is its model.
    names
        K tags or targets.
    rows
        Notes of the candidates; one empty name for tags.
    theirs, ours
        float32 [len(rows), K] of the champion and of the challenger.
    """

    id: str
    person: str | None
    as_of: int
    filled_at: int
    champion: str
    names: tuple[str, ...]
    rows: tuple[str | None, ...]
    theirs: NDArray[np.float32]
    ours: NDArray[np.float32]


class KeptScores:
    """A file of scores; any number of servers may write it.

    Parameters
    ----------
    folder
        Of the shadow; made, for its owner alone, by the first prediction.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file = SqliteFile(self._path, "shadow's scores", "zhongcao shadow start")

    def add(self, scored: Sequence[Scored], refused: Callable[[], AbstractSet[str]], most: int) -> None:
        """Keep predictions, but those of people who refuse, and no more than so many in all."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._writing() as connection:
            connection.execute(_TABLE)
            (there,) = connection.execute("SELECT COUNT(*) FROM scores").fetchone()
            silent = refused()
            connection.executemany(
                "INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(one) for one in scored[: max(0, most - there)] if one.person not in silent],
            )

    def read(self) -> Iterator[Scored]:
        """Yield what is kept."""
        if not self._path.exists():
            return
        with self._file.reading() as connection:
            for row in connection.execute("SELECT * FROM scores ORDER BY id"):
                name, person, as_of, filled_at, champion, names, rows, theirs, ours = row
                known, notes = tuple(orjson.loads(names)), tuple(orjson.loads(rows))
                a, b = (np.frombuffer(one, np.float32).reshape(len(notes), len(known)) for one in (theirs, ours))
                yield Scored(name, person, as_of, filled_at, champion, known, notes, a, b)
        self._file.close()

    def erase(self, persons: Sequence[str]) -> int:
        """Delete people's scores for good; the file is written anew."""
        if not self._path.exists():
            return 0
        with self._writing() as connection:
            gone = by_keys(connection, "DELETE FROM scores WHERE person IN (keys) RETURNING 0", persons)
            erased = sum(1 for _ in gone)
        if erased:
            with self._file.named_errors(), closing(self._file.writer()) as connection:
                connection.execute("VACUUM")
                self._file.checkpoint(connection)
        return erased

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._file.named_errors(), closing(self._file.writer()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def _row(one: Scored) -> tuple[object, ...]:
    texts = (orjson.dumps(part).decode() for part in (one.names, one.rows))
    scores = (part.tobytes() for part in (one.theirs, one.ours))
    return (one.id, one.person, one.as_of, one.filled_at, one.champion, *texts, *scores)
