"""The files of the prediction log: one SQLite file a day, in UTC, so that what is too old goes as a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import orjson

from features.errors import PredictionLogError
from serving.online.sqlite_file import SqliteFile, by_keys
from serving.predictions.ids import day_made, packed, unpacked
from serving.predictions.record import Made, Origin, Prediction, pack, squeeze, unpack

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS origins (number INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
    " facts TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS predictions (id BLOB NOT NULL UNIQUE, person TEXT, origin INTEGER NOT NULL,"
    " body BLOB NOT NULL, features BLOB)",
    "CREATE INDEX IF NOT EXISTS by_person ON predictions (person)",
)
_READ: Final = "SELECT id, person, facts, body, features FROM predictions JOIN origins ON number = origin"
_COUNT: Final = "SELECT COUNT(*), COALESCE(SUM(kind = 'tags'), 0) FROM predictions JOIN origins ON number = origin"
_FILES: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].sqlite"


@dataclass(frozen=True)
class KeptDay:
    """What is kept of one day.

    Parameters
    ----------
    day
        In UTC.
    tags, conversions
        How many predictions.
    size
        Bytes on disk.
    """

    day: date
    tags: int
    conversions: int
    size: int


class PredictionFiles:
    """A folder of kept predictions; any number of processes may read and write it.

    Parameters
    ----------
    folder
        Made, for its owner alone, by the first prediction.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(
        self,
        made: Sequence[Made],
        origin: Callable[[Made], Origin],
        *,
        features: bool = False,
        refused: Callable[[], AbstractSet[str]] = frozenset,
    ) -> int:
        """Put predictions on disk; they are there when this returns.

        Parameters
        ----------
        made
            Those of one day stand together.
        origin
            Says what a prediction has in common with others.
        features
            Whether to keep the features themselves.
        refused
            Whose predictions are left out. Asked while nobody else can write, so that who is erased meanwhile is
            either among them, or their prediction is there for the erasure to delete.

        Returns
        -------
        int
            How many were put on disk.

        Raises
        ------
        StoreError
            The disk is full, or does not take them.
        """
        written = 0
        for day, some in groupby(made, lambda one: day_made(one.id)):
            rows = []
            known: dict[Origin, str] = {}
            for one in some:
                of = origin(one)
                if of not in known:
                    known[of] = orjson.dumps(of).decode()
                row = squeeze(one.features.tobytes()) if features else None
                rows.append((packed(one.id)[0], one.person, known[of], pack(one), row))
            with self._writing(self._path(day)) as connection, _transaction(connection):
                for table in _TABLES:
                    connection.execute(table)
                connection.executemany(
                    "INSERT OR IGNORE INTO origins (kind, facts) VALUES (?, ?)",
                    [(of.kind, facts) for of, facts in known.items()],
                )
                numbers = dict(connection.execute("SELECT facts, number FROM origins").fetchall())
                left_out = refused()
                taken = [
                    (name, person, numbers[facts], *rest)
                    for name, person, facts, *rest in rows
                    if person is None or person not in left_out
                ]
                connection.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?, ?)", taken)
            written += len(taken)
        return written

    def get(self, prediction: str) -> Prediction | None:
        """Return a prediction, None where it is not kept.

        Raises
        ------
        PredictionLogError
            The text is no prediction's id.
        """
        found = self._select(day_made(prediction), f"{_READ} WHERE id = ?", packed(prediction)[0])
        return _prediction(found[0]) if found else None

    def latest(self, day: date, most: int) -> list[Prediction]:
        """Return the last predictions of a day, the last one first."""
        return [_prediction(row) for row in self._select(day, f"{_READ} ORDER BY id DESC LIMIT ?", most)]

    def days(self) -> list[KeptDay]:
        """Return what is kept, by day, the oldest first."""
        kept = []
        for path in self._paths():
            day = date.fromisoformat(path.stem)
            for every, tags in self._select(day, _COUNT):
                kept.append(KeptDay(day, tags, every - tags, path.stat().st_size))
        return kept

    def erase(self, persons: Sequence[str]) -> int:
        """Delete every prediction of some people for good; each file that held one is written anew.

        Returns
        -------
        int
            How many predictions they were.

        Raises
        ------
        PredictionLogError
            Somebody reads a file for so long that it cannot be rewritten: nothing of it can be told to be gone yet.
        """
        erased = 0
        for path in self._paths():
            with self._writing(path) as connection:
                with _transaction(connection):
                    statement = "DELETE FROM predictions WHERE person IN (keys) RETURNING 0"
                    found = sum(1 for _ in by_keys(connection, statement, persons))
                if found:
                    _rewrite(connection, path)
                erased += found
        return erased

    def prune(self, today: date, days: int) -> int:
        """Delete the files of the days that are more than so many days ago; return how many they were."""
        old = [path for path in self._paths() if date.fromisoformat(path.stem) < today - timedelta(days=days)]
        for path in old:
            for part in ("-wal", "-shm", ""):
                path.with_name(path.name + part).unlink(missing_ok=True)
        return len(old)

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.sqlite"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(_FILES))

    @contextmanager
    def _writing(self, path: Path) -> Iterator[sqlite3.Connection]:
        file = _file(path)
        with file.named_errors(), closing(file.writer()) as connection:
            yield connection

    def _select(self, day: date, query: str, *given: Any) -> list[Any]:
        if not (path := self._path(day)).exists():
            return []
        file = _file(path)
        with file.reading() as connection:
            rows = connection.execute(query, given).fetchall()
        file.close()
        return rows


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _rewrite(connection: sqlite3.Connection, path: Path) -> None:
    # SQLite overwrites what it deletes, but not the copies that it left behind when it moved rows between pages.
    connection.execute("VACUUM")
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise PredictionLogError(
            "predictions were deleted, but their file is being read and cannot be rewritten",
            value=path.name,
            next_step="end the reader and erase again",
        )


def _file(path: Path) -> SqliteFile:
    return SqliteFile(path, "prediction log", "zhongcao serve")


def _prediction(row: tuple[bytes, str | None, str, bytes, bytes | None]) -> Prediction:
    name, person, facts, body, features = row
    return unpack(unpacked(name), person, Origin(**orjson.loads(facts)), body, features)
