"""How things stand in a home: reasons to retrain, freshness, the last runs, champions and challengers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

from features.errors import ZhongcaoError
from features.inbox.state import state_in
from features.log.event_log import EventLog
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.histories.sqlite_store import SqliteHistories
from serving.jobs.promotion import champion_of, read_verdict, registered
from serving.online.choice import open_store
from serving.shadow.pointer import pointed_shadow
from serving.shadow.report import seen_so_far
from training.bundles.manifest import CONVERSION, TAGS, Kind
from training.bundles.pointer import promotions
from training.source import present_of
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.triggers.changes import changes
from training.triggers.trigger import Trigger
from training.triggers.watch import watch

_RUNS: Final = 5


def reasons(
    settings: Settings, steps: Steps, *, as_of: str = "now", taxonomy: Taxonomy | None = None, quick: bool = False
) -> list[Trigger]:
    """Return the reasons to retrain, fired or not.

    Parameters
    ----------
    settings
        Where everything lies, and when each reason counts.
    steps
        Shows progress.
    as_of
        Day, ISO time or ``now``.
    taxonomy
        What would be trained.
    quick
        Leave out what reads the log: drift and quality.
    """
    folder = champion_of(settings, TAGS)
    if folder is None:
        return [Trigger("champion", True, "no tag models serve yet")]
    champion, log = load_bundle(folder), EventLog.open(settings)
    present = present_of(log, as_of)
    found = changes(settings, champion, present, log.timezone, taxonomy)
    return found if quick else found + watch(settings, champion, present, steps)


def status_of(
    settings: Settings, steps: Steps, *, as_of: str = "now", taxonomy: Taxonomy | None = None, quick: bool = False
) -> dict[str, Any]:
    """Return how things stand, as JSON takes it; parameters are those of `reasons`.

    Returns
    -------
    dict
        ``reasons``, ``freshness``, ``runs`` (the latest first), and ``models`` by kind. What cannot be told says
        why under ``problem``.
    """
    return {
        "reasons": _told(lambda: [one.as_dict() for one in reasons(
            settings, steps, as_of=as_of, taxonomy=taxonomy, quick=quick
        )]),
        "freshness": {
            "log": _told(lambda: _log(settings)),
            "inbox": _told(lambda: _inbox(settings)),
            "online_store": _told(lambda: _store(settings)),
            "histories": _told(lambda: _histories(settings)),
        },
        "runs": last_runs(settings),
        "models": {kind.name: _model(settings, kind) for kind in (TAGS, CONVERSION)},
    }  # fmt: skip


def last_runs(settings: Settings, most: int = _RUNS) -> list[dict[str, Any]]:
    """Return what the last retraining jobs came to, the latest first."""
    found = []
    for path in sorted((settings.home / "runs").glob("*/summary.json"), reverse=True)[:most]:
        held = json.loads(path.read_text(encoding="utf-8"))
        found.append({name: held[name] for name in ("run", "as_of", "code", "code_name", "said")})
    return found


def _told(look: Any) -> Any:
    try:
        return look()
    except ZhongcaoError as error:
        return {"problem": str(error)}


def _log(settings: Settings) -> dict[str, Any]:
    log = EventLog.open(settings)
    con = log.connect()
    try:
        last = log.span(con)[1]
    finally:
        con.close()
    return {"version": log.version, "last_event": last, "hours_ago": _hours(last)}


def _inbox(settings: Settings) -> dict[str, Any]:
    state = state_in(settings.inbox_file)
    if state is None:
        return {"waiting": 0, "refused": 0}
    return {"waiting": state.waiting, "refused": state.refused, "behind": dict(state.behind)}


def _store(settings: Settings) -> dict[str, Any]:
    store = open_store(settings)
    try:
        info = store.describe()
    finally:
        store.close()
    return {"people": info.people, "filled_as_of": info.as_of, "hours_ago": _hours(info.as_of)}


def _histories(settings: Settings) -> dict[str, Any]:
    store = SqliteHistories(settings.histories_file)
    try:
        info = store.describe()
    finally:
        store.close()
    return {"people": info.people, "filled_as_of": info.as_of, "hours_ago": _hours(info.as_of)}


def _hours(at: int) -> float:
    return round((time.time() - at) / 3_600, 1)


def _model(settings: Settings, kind: Kind) -> dict[str, Any]:
    champion = champion_of(settings, kind)
    if champion is None:
        return {"champion": None}
    moves = promotions(settings, kind)
    found: dict[str, Any] = {
        "champion": champion.name,
        "promoted_at": moves[0].at if moves else None,
        "figures": _figures(settings, champion, kind),
        "challengers": [_challenger(settings, folder) for folder in _later(settings, kind, champion)],
    }
    shadow = pointed_shadow(settings, kind)
    if shadow is not None:
        found["shadow"] = _told(lambda: {"bundle": shadow.bundle, **seen_so_far(settings, kind, shadow)["overall"]})
    return found


def _figures(settings: Settings, folder: Path, kind: Kind) -> dict[str, float]:
    found = registered(settings, folder.name, kind)
    return {} if found is None else found[0].metrics(found[1].run_id)


def _later(settings: Settings, kind: Kind, champion: Path) -> list[Path]:
    """Return bundles that were trained after the champion, the newest last."""
    made = champion.stat().st_mtime
    others = (path for path in settings.bundles_dir.glob(f"{kind.name}-*") if path.name != champion.name)
    return sorted((path for path in others if path.stat().st_mtime > made), key=lambda path: path.stat().st_mtime)


def _challenger(settings: Settings, folder: Path) -> dict[str, Any]:
    verdict = read_verdict(settings, folder.name)
    return {"bundle": folder.name, "reason": None if verdict is None else verdict["reason"]}
