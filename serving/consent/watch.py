"""Who has withdrawn consent, opted out or deleted tags, kept up to date while a server runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from threading import Event, Thread
from typing import Final, Self

from features.errors import StoreError, ZhongcaoError
from features.rights.ledger import Rights
from features.settings import Settings
from serving.consent.log import deleted_tags, next_word, withdrawn_since

_log = logging.getLogger("zhongcao.serving")
_SECONDS: Final = 5.0
"""Between two looks; a withdrawal is heeded so long after it counts, and as long as the reading takes, at most."""


class _Either(Set[str]):
    """What is in one of two sets, neither of which is copied."""

    def __init__(self, one: Set[str], other: Set[str]) -> None:
        self._one, self._other = one, other

    def __contains__(self, key: object) -> bool:
        return key in self._one or key in self._other

    def __iter__(self) -> Iterator[str]:
        yield from self._one
        yield from self._other - self._one

    def __len__(self) -> int:
        return len(self._one | self._other)

    @classmethod
    def _from_iterable(cls, keys: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(keys)


class Withdrawn:
    """Tells whose rows in one store must not be used.

    What people said themselves is known at once; the log's word on consent, and on whose accounts are whose, as of
    the last look.

    Parameters
    ----------
    as_of
        Returns the instant of the rows: whose accounts were whose is as of then.
    rights
        What people said.
    """

    def __init__(self, as_of: Callable[[], int], rights: Rights) -> None:
        self._as_of = as_of
        self._rights = rights
        self._people: frozenset[str] = frozenset()
        self._spread: Mapping[str, Set[str]] = {}
        self._tags: tuple[object, object, Mapping[str, Set[str]]] = None, None, {}

    def __call__(self) -> Set[str]:
        """Return the keys of people who must not be personalised."""
        refused = self._rights.refused()
        return _Either(self._people, refused) if refused else self._people

    def deleted_tags(self) -> Mapping[str, Set[str]]:
        """Return key → ids of tags that must not be inferred."""
        said, spread = self._rights.deleted_tags(), self._spread
        of_said, of_spread, tags = self._tags
        if of_said is not said or of_spread is not spread:
            more = {key: tags | spread[key] for key, tags in said.items() if key in spread}
            tags = {**spread, **said, **more}
            self._tags = said, spread, tags
        return tags

    @property
    def as_of(self) -> int | None:
        """Instant of the rows, None while there are none."""
        try:
            return self._as_of()
        except StoreError:
            return None

    def look(self, settings: Settings) -> None:
        """Read who has withdrawn consent by now; of a store that was never filled, nobody is answered anyway."""
        as_of = self.as_of
        found = [] if as_of is None else withdrawn_since(settings, as_of, int(time.time()))
        self._spread = deleted_tags(settings)
        self._people = frozenset(found)


class ConsentWatch:
    """Reads the log's word on consent again and again, in a thread of its own.

    Parameters
    ----------
    settings
        Where the log lies.
    seconds
        Between two looks.
    """

    def __init__(self, settings: Settings, seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._rights = Rights(settings)
        self._watched: list[Withdrawn] = []
        self._stamp: object = None
        self._next: int | None = None
        self._stop = Event()
        self._thread = Thread(target=self._run, name="consent", daemon=True)

    def watch(self, as_of: Callable[[], int]) -> Withdrawn:
        """Keep up to date whose rows in a store must not be used; `as_of` returns the instant of its rows."""
        watched = Withdrawn(as_of, self._rights)
        self._watched.append(watched)
        return watched

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._rights.close()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._look()

    def _look(self) -> None:
        commits = self._settings.log_dir / "identities" / "_delta_log"
        imported = commits.stat().st_mtime_ns if commits.exists() else 0
        now = int(time.time())
        try:
            stamp = (imported, self._rights.stamp(), [watched.as_of for watched in self._watched])
            if stamp == self._stamp and (self._next is None or now < self._next):
                return
            # Read before the people are: what begins to count meanwhile is looked at again.
            self._next = next_word(self._settings, now)
            for watched in self._watched:
                watched.look(self._settings)
            self._stamp = stamp
        except ZhongcaoError as error:
            # What was known before goes on to hold.
            _log.warning("who has withdrawn consent could not be read: %s", error.problem)
