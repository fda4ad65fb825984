"""What each running server of a home serves, as it wrote it down: a small file per server, locked while it runs."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any, Final

from features.errors import ZhongcaoError
from features.locks import exclusive
from features.settings import Settings
from training.bundles.manifest import Kind

STEM: Final = "serving-"
LOCK: Final = ".lock"
_LOOK_SECONDS: Final = 0.1
_WAIT_SECONDS: Final = 60.0
State = dict[str, Any]


def running_servers(settings: Settings) -> list[State]:
    """Return what each server of this home says that it serves; traces of servers that were killed are removed."""
    alive = ZhongcaoError("a server runs")
    states = []
    for path in sorted(settings.work_dir.glob(f"{STEM}*.json")):
        try:
            with exclusive(path.with_suffix(LOCK), alive):
                path.unlink(missing_ok=True)
                path.with_suffix(LOCK).unlink(missing_ok=True)
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
