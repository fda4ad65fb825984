"""Erasing people from an installation: every place, one after the other, while nothing else writes there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final, Self

from features.erasure.erasable import ErasablePlace
from features.erasure.erasures import Receipt, ask, carry_out, unfinished
from features.erasure.inbox import InboxPlace, note_parts
from features.erasure.log import PERSONAL, LogPlace
from features.erasure.person_keys import person_keys
from features.erasure.quarantine import QuarantinePlace, names_of
from features.errors import RightsError, ZhongcaoError
from features.events import EVENTS
from features.locks import READING_LOCK, exclusive
from features.log.event_log import EventLog
from features.log.importing import import_lock
from features.settings import Settings
from serving.memberships.forgetting import MembershipsPlace
from serving.online.redis_erase import RedisPlace
from serving.predictions.files import PredictionFiles
from serving.rights.erase_files import AddedPlace, CachesPlace, ModelsPlace, ReportsPlace, SeedsPlace
from serving.rights.erase_outputs import OutputsPlace
from serving.rights.erase_stores import SqlitePlace, recount_histories, recount_store
from serving.shadow.kept_scores import FILE, KeptScores

_AGAIN_SECONDS: Final = 15.0
_log = logging.getLogger("zhongcao.rights")


class PredictionsPlace(ErasablePlace):
    """The prediction log."""

    name = "prediction log"

    def __init__(self, settings: Settings) -> None:
        self._files = PredictionFiles(settings.predictions_dir)

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete people's predictions, see `ErasablePlace.erase`."""
        return self._files.erase(sorted({*persons, *accounts}))


class ShadowPlace(ErasablePlace):
    """What challengers said beside the champions."""

    name = "shadow"

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "shadow"

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete people's scores, see `ErasablePlace.erase`."""
        keys = sorted({*persons, *accounts})
        return sum(KeptScores(path.parent).erase(keys) for path in self._folder.glob(f"*/*/{FILE}"))


def places_of(settings: Settings, erasure: str) -> list[ErasablePlace]:
    """Return every place of a home that may hold something of a person, in the order in which they are erased from.

    Events come before what is made of them.
    """
    places: list[ErasablePlace] = []
    named = names_of(settings)
    log = EventLog.open(settings) if settings.log_dir.is_dir() else None
    if log is not None:
        renamed = partial(note_parts, settings.inbox_file)
        places += [
            InboxPlace(log, named),
            *(LogPlace(log, table, renamed if table == EVENTS.name else None) for table in PERSONAL),
        ]
    places += [
        QuarantinePlace(settings, named),
        *_online_store(settings),
        SqlitePlace("store of histories", settings.histories_file, recount_histories),
        AddedPlace(settings),
        SeedsPlace(settings),
        PredictionsPlace(settings),
        ShadowPlace(settings),
        MembershipsPlace(settings),
        OutputsPlace(settings),
        CachesPlace(settings),
        ReportsPlace(settings),
        ModelsPlace(settings, erasure),
    ]
    if log is not None:
        # A request that was in work when the person was erased has ended by now.
        places.append(InboxPlace(log, named, "inbox, once more"))
    return places


def _online_store(settings: Settings) -> list[ErasablePlace]:
    if settings.store == "sqlite":
        return [SqlitePlace("online store", settings.store_file, recount_store)]
    # The file may be left from the time before Redis was chosen.
    return [
        RedisPlace("online store", settings.store),
        SqlitePlace("embedded online store", settings.store_file, recount_store),
    ]


def erase_person(settings: Settings, key: str) -> str:
    """Ask for the erasure of whoever a key is of, with all accounts; return the erasure's id.

    From now on nothing is answered or taken about them; `finish` does the rest.
    """
    return ask(settings, person_keys(settings, key), _platforms(settings))


def _platforms(settings: Settings) -> list[str]:
    if not settings.log_dir.is_dir():
        return []
    log = EventLog.open(settings)
    con = log.connect()
    try:
        found = [log.rows(con, table).project("platform").distinct().fetchall() for table in PERSONAL]
    finally:
        con.close()
    return sorted({str(platform) for rows in found for (platform,) in rows})


def finish(settings: Settings) -> list[Receipt]:
    """Carry out every erasure that is under way; return their receipts.

    Raises
    ------
    ZhongcaoError
        An import or a job runs, or a place cannot be written now: nothing is lost, the next call goes on.
    """
    receipts = []
    for erasure in unfinished(settings):
        with ExitStack() as held:
            _alone(settings, held)
            receipts.append(carry_out(settings, erasure, places_of(settings, erasure)))
    return receipts


def _alone(settings: Settings, held: ExitStack) -> None:
    """Keep out whatever has read people's events, or writes something of people."""
    settings.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    locks = [
        ("another erasure", settings.work_dir / "erasure.lock"),
        ("a job that has read the log", settings.work_dir / READING_LOCK),
        ("a retraining", settings.work_dir / "retrain.lock"),
        ("a fill of the store of histories", settings.histories_file.with_suffix(".lock")),
        *(("a batch scoring", path) for path in sorted(settings.work_dir.glob("score-*.lock"))),
    ]
    for who, path in locks:
        busy = RightsError(
            f"{who} is under way", next_step="the erasure counts already, and is finished once that has ended"
        )
        held.enter_context(exclusive(path, busy))
    held.enter_context(import_lock(settings))


class Eraser:
    """Finishes erasures in a thread of its own while it is entered.

    Parameters
    ----------
    settings
        Where everything lies.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="eraser", daemon=True)

    def __enter__(self) -> Self:
        self._asked.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._asked.set()
        self._thread.join()

    def erase(self, key: str) -> str:
        """Ask for a person's erasure; return its id at once."""
        erasure = erase_person(self._settings, key)
        self._asked.set()
        return erasure

    def _work(self) -> None:
        while True:
            self._asked.wait(_AGAIN_SECONDS)
            self._asked.clear()
            if self._stopped:
                return
            try:
                finish(self._settings)
            except (ZhongcaoError, OSError) as error:
                _log.warning("an erasure waits: %s", error)
