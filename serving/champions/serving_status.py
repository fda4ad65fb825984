"""Following the champion pointers while a server runs, and writing down what it serves, for other commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from features.durable import write_durably
from features.errors import ZhongcaoError
from features.locks import exclusive
from features.settings import Settings
from serving.champions.open_scorers import Champions
from serving.champions.readiness import next_of
from serving.champions.running_servers import LOCK, STEM, State
from serving.champions.served import Served, plainly
from training.bundles.manifest import CONVERSION, TAGS, canonical_json

_log = logging.getLogger("zhongcao.serving")


@contextmanager
def following(settings: Settings, champions: Champions) -> Iterator[None]:
    """Follow the champion pointers while this server runs; say in its log and its file what comes of it."""
    path = settings.work_dir / f"{STEM}{os.getpid()}.json"
    kinds: dict[str, Served[Any]] = {TAGS.name: champions.tags, CONVERSION.name: champions.conversions}

    def write() -> None:
        state = {name: _state(served) for name, served in kinds.items()}
        write_durably(path, canonical_json({"host": settings.host, "port": settings.port, **state}))

    with ExitStack() as running:
        running.callback(path.with_suffix(LOCK).unlink, missing_ok=True)
        running.enter_context(exclusive(path.with_suffix(LOCK)))
        running.callback(path.unlink, missing_ok=True)
        write()
        for served in kinds.values():
            served.told = _teller(served, write)
        for follower in champions.followers:
            running.enter_context(follower)
        yield


def _state(served: Served[Any]) -> State:
    now, following = served.now, next_of(served)
    state: State = (
        {"problem": plainly(now)}
        if isinstance(now, ZhongcaoError)
        else {"model": now.bundle.version, "since": served.since}
    )
    return state if following is None else {**state, "next": following}


def _teller(served: Served[Any], write: Callable[[], None]) -> Callable[[], None]:
    def tell() -> None:
        now, following = served.now, served.next
        still = "nothing answers" if isinstance(now, ZhongcaoError) else f"{now.bundle.version} answers"
        if following is None:
            _log.info("%s from now on", still)
        elif following.problem is None:
            _log.info("%s is being checked, %s", following.bundle, still)
        else:
            said = "is refused" if following.state == "refused" else "waits"
            _log.warning("%s %s, %s: %s", following.bundle, said, still, plainly(following.problem))
        try:
            write()
        except OSError as error:  # a full disk keeps nobody from being answered
            _log.error("what is served could not be written down: %s", error.strerror)

    return tell
