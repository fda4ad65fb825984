"""Following a champion pointer while a server runs: what it names is checked, loaded and warm before it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final, Generic, Self

from features.errors import BundleError, ZhongcaoError
from features.settings import Settings
from serving.champions.served import S, Served
from training.bundles.champion import champion_path, check_whole, verify_named
from training.bundles.files import check_name
from training.bundles.manifest import Kind
from training.bundles.pointer import Stamp, pointed_name, pointer_stamp

_log = logging.getLogger("zhongcao.serving")
_SECONDS: Final = 0.5
"""Between two looks at the pointer, each of which reads one entry of a folder."""


class Follower(Generic[S]):
    """Loads what a pointer names whenever it is written, in a thread of its own.

    Parameters
    ----------
    settings, kind
        Which pointer.
    served
        What it changes.
    load
        Reads a bundle that was checked; returns what makes its scorer, see `Served.offer`.
    seconds
        Between two looks.
    verify
        Checks a bundle in a child process.
    """

    def __init__(
        self,
        settings: Settings,
        kind: Kind,
        served: Served[S],
        load: Callable[[Path], Callable[[], S]],
        *,
        seconds: float = _SECONDS,
        verify: Callable[[Path, Kind], None] = verify_named,
    ) -> None:
        self._settings, self._kind, self._served = settings, kind, served
        self._load, self._verify, self._seconds = load, verify, seconds
        self._stamp: Stamp | None = None
        self._looked = False
        self._verified: set[str] = set()
        self._stop = Event()
        self._thread = Thread(target=self._run, name=f"champion of {kind.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Look once: load what the pointer names if it was written since, or try what waits for a fill."""
        stamp = pointer_stamp(self._settings, self._kind)
        if self._looked and stamp == self._stamp:
            self._served.settle()
            return
        first, self._looked, self._stamp = not self._looked, True, stamp
        name = "the champion"
        try:
            name = pointed_name(self._settings, self._kind)
            self._served.loads(name)
            folder = champion_path(self._settings, self._kind)
            self._check(folder)
            make = self._load(folder)
        except ZhongcaoError as error:
            self._served.refuse(name, error)
        except Exception as error:  # whatever a bundle makes the code do, the old one goes on to answer
            if first:
                raise
            self._served.refuse(name, BundleError(f"{name} could not be loaded: {type(error).__name__}"))
        else:
            # What was promoted meanwhile is looked at next, and never after it what it took the place of.
            if pointer_stamp(self._settings, self._kind) == stamp:
                self._served.offer(name, make)

    def _check(self, folder: Path) -> None:
        """Check the bundle; one with the same manifest as one that passed before needs its hashes checked alone."""
        if folder.name in self._verified:
            check_whole(folder, self._kind)
            check_name(folder, self._kind)
        else:
            self._verify(folder, self._kind)
            self._verified.add(folder.name)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # the next look may do better; a dead thread would never
                _log.error("the champion pointer of %s: %s", self._kind.name, type(error).__name__)
