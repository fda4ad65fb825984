"""What each running server of a home serves: a small file per server, which other commands read."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from features.durable import write_durably
from features.errors import ZhongcaoError
from features.locks import exclusive
from features.settings import Settings
from serving.open_scorers import Champions
from serving.readiness import next_of
from serving.served import Served, plainly
from training.manifest import CONVERSION, TAGS, Kind, canonical_json

_log = logging.getLogger("zhongcao.serving")
_STEM: Final = "serving-"
_LOCK: Final = ".lock"
_LOOK_SECONDS: Final = 0.1
_WAIT_SECONDS: Final = 60.0
State = dict[str, Any]


@contextmanager
def following(settings: Settings, champions: Champions) -> Iterator[None]:
    """Follow the champion pointers while this server runs; say in its log and its file what comes of it."""
    path = settings.work_dir / f"{_STEM}{os.getpid()}.json"
    kinds: dict[str, Served[Any]] = {TAGS.name: champions.tags, CONVERSION.name: champions.conversions}

    def write() -> None:
        state = {name: _state(served) for name, served in kinds.items()}
        write_durably(path, canonical_json({"host": settings.host, "port": settings.port, **state}))

    with ExitStack() as running:
        running.callback(path.with_suffix(_LOCK).unlink, missing_ok=True)
        running.enter_context(exclusive(path.with_suffix(_LOCK)))
        running.callback(path.unlink, missing_ok=True)
        write()
        for served in kinds.values():
            served.told = _teller(served, write)
        for follower in champions.followers:
            running.enter_context(follower)
        yield


def _state(served: Served[Any]) -> dict[str, Any]:
    now, following = served.now, next_of(served)
    state: dict[str, Any] = (
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


def running_servers(settings: Settings) -> list[State]:
    """Return what each server of this home says that it serves; traces of servers that were killed are removed."""
    alive = ZhongcaoError("a server runs")
    states = []
    for path in sorted(settings.work_dir.glob(f"{_STEM}*.json")):
        try:
            with exclusive(path.with_suffix(_LOCK), alive):
                path.unlink(missing_ok=True)
                path.with_suffix(_LOCK).unlink(missing_ok=True)
        except ZhongcaoError:
            with suppress(OSError, ValueError):  # it has just stopped
                states.append(json.loads(path.read_text(encoding="utf-8")))
    return states


def await_servers(settings: Settings, kind: Kind, bundle: str, seconds: float = _WAIT_SECONDS) -> list[str]:
    """Wait until every running server has looked at a promoted bundle.

    Parameters
    ----------
    settings, kind, bundle
        What was promoted.
    seconds
        How long to wait, at most.

    Returns
    -------
    list of str
        What each server made of it, in words.
    """
    until = time.monotonic() + seconds
    while True:
        said = [(server, _became(server[kind.name], bundle)) for server in running_servers(settings)]
        if all(became for _, became in said) or time.monotonic() > until:
            return [f"the server on port {server['port']} {became or 'still checks it'}" for server, became in said]
        time.sleep(_LOOK_SECONDS)


def _became(state: State, bundle: str) -> str:
    following = state.get("next", {})
    if following.get("bundle") == bundle and following["state"] != "loads":
        said = "refuses it" if following["state"] == "refused" else "has it ready, and it waits"
        return f"{said}: {following['problem']}"
    return "answers with it" if state.get("model") == bundle and not following else ""
