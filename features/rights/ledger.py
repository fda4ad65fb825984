"""What people said about themselves: no personalisation (关闭个性化推荐), no such tag (删除标签)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Final

from features.rights.file import Followed, reading, rights_path, writing
from features.settings import Settings

OPT_OUT: Final = "personalisation"
ERASURE: Final = "erasure"
_TAG: Final = "tag "


class Rights(Followed):
    """Tells what people said, as of now; what another process writes is known to the next call.

    Any number of threads may call it at once.

    Parameters
    ----------
    settings
        Where the file lies; it need not be there.

    Examples
    --------
    >>> import tempfile
    >>> settings = Settings(home=tempfile.mkdtemp())
    >>> rights = Rights(settings)
    >>> opt_out(settings, ["a1"])
    >>> "a1" in rights.refused(), "a2" in rights.refused()
    (True, False)
    >>> opt_in(settings, ["a1"]), rights.refused()
    (None, frozenset())
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._last = 0
        self._refused: dict[str, frozenset[str]] = {OPT_OUT: frozenset(), ERASURE: frozenset()}
        self._everybody: frozenset[str] = frozenset()
        self._tags: Mapping[str, frozenset[str]] = {}

    def refused(self) -> AbstractSet[str]:
        """Return keys, of accounts and of persons, of whoever opted out or is being erased."""
        self.look()
        return self._everybody

    def deleted_tags(self) -> Mapping[str, AbstractSet[str]]:
        """Return key of an account or a person → ids of tags that must not be inferred."""
        self.look()
        return self._tags

    def stamp(self) -> int:
        """Return a number that grows with everything that is said."""
        self.look()
        return self._last

    def _take_in(self, connection: sqlite3.Connection) -> None:
        found = connection.execute(
            "SELECT number, key, about, holds FROM said WHERE number > ? ORDER BY number", (self._last,)
        ).fetchall()
        if not found:
            return
        tags: dict[str, frozenset[str]] = dict(self._tags)
        for about in self._refused:
            new = {key: holds for _, key, what, holds in found if what == about}
            if new:
                kept = self._refused[about].difference(new)
                self._refused[about] = kept.union(key for key, holds in new.items() if holds)
        for _, key, about, _ in found:
            if about.startswith(_TAG):
                tags[key] = tags.get(key, frozenset()) | {about.removeprefix(_TAG)}
        self._everybody = self._refused[OPT_OUT] | self._refused[ERASURE]
        self._tags = tags
        self._last = found[-1][0]


def opt_out(settings: Settings, keys: Iterable[str]) -> None:
    """Let people be personalised no more; on disk when it returns.

    Parameters
    ----------
    settings
        Where the file lies.
    keys
        Of their accounts and of themselves, see `features.erasure.person_keys`.
    """
    with writing(rights_path(settings)) as connection:
        say(connection, keys, OPT_OUT, holds=True)


def opt_in(settings: Settings, keys: Iterable[str]) -> None:
    """Take an opt-out back; what the log says about consent counts again."""
    with writing(rights_path(settings)) as connection:
        known = {key for (key,) in connection.execute("SELECT key FROM said WHERE about = ?", (OPT_OUT,))}
        say(connection, known.intersection(keys), OPT_OUT, holds=False)


def delete_tag(settings: Settings, keys: Iterable[str], tag: str) -> None:
    """Let a tag never be inferred of somebody again; on disk when it returns."""
    with writing(rights_path(settings)) as connection:
        say(connection, keys, f"{_TAG}{tag}", holds=True)


def say(connection: sqlite3.Connection, keys: Iterable[str], about: str, *, holds: bool) -> None:
    """Note a statement within a transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO said (key, about, holds) VALUES (?, ?, ?)",
        [(key, about, holds) for key in sorted(set(keys))],
    )


def refused_keys(settings: Settings) -> list[str]:
    """Return the keys of `Rights.refused`, sorted, for whoever reads them once."""
    rights = Rights(settings)
    try:
        return sorted(rights.refused())
    finally:
        rights.close()


def outputs(settings: Settings) -> list[Path]:
    """Return the folders and files that something about people was written to, wherever they lie."""
    return [Path(written) for written in _column(settings, "SELECT path FROM output ORDER BY path")]


def known_platforms(settings: Settings) -> list[str]:
    """Return the platforms of the log as of the last erasure."""
    return _column(settings, "SELECT name FROM platform ORDER BY name")


def note_output(settings: Settings, written: Path) -> None:
    """Remember that something about people is written to a folder or a file, so that an erasure finds it."""
    with writing(rights_path(settings)) as connection:
        connection.execute("INSERT OR IGNORE INTO output VALUES (?)", (str(written.resolve()),))


def _column(settings: Settings, query: str) -> list[str]:
    path = rights_path(settings)
    if not path.exists():
        return []
    with closing(reading(path)) as connection:
        return [value for (value,) in connection.execute(query)]
