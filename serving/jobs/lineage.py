"""Where a model comes from: data, code, taxonomy, the models before it, who judged it and when it was promoted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from features.days import day_text
from features.erasure.erasures import erased_since
from features.errors import BundleError, EventLogError
from features.log.event_log import EventLog
from features.settings import Settings
from serving.jobs.promotion import read_verdict, registered
from serving.predictions.words import time_in_words
from training.bundles.manifest import TAGS, Kind
from training.bundles.pointer import promotions
from training.code import code_version
from training.conversion.bundle import tags_inside


def lineage(settings: Settings, folder: Path, kind: Kind) -> dict[str, Any]:
    """Return where a bundle comes from, as JSON takes it.

    Parameters
    ----------
    settings
        Where bundles, log, verdicts, runs and MLflow's runs lie.
    folder, kind
        The bundle.

    Returns
    -------
    dict
        ``model``, ``kind``, ``as_of``, ``data``, ``code``, ``taxonomy``, ``erased_since``, ``parents``, ``gate``,
        ``promotions``, ``registry`` and ``runs``; what is not known is None or empty.

    Raises
    ------
    BundleError
        What the bundle says of itself cannot be read.
    """
    about = _read(folder, "about.json")
    code = about.get("code_version")
    return {
        "model": folder.name,
        "kind": kind.name,
        "as_of": about.get("as_of"),
        "data": _data(settings, str(about.get("data_version") or "")),
        "code": {"version": code, "is_this": code == code_version()},
        "taxonomy": _taxonomy(folder),
        "erased_since": erased_since(settings, folder.name),
        "parents": _parents(settings, folder, about),
        "gate": _gate(settings, folder.name),
        "promotions": _promotions(settings, kind, folder.name),
        "registry": _registry(settings, kind, folder.name),
        "runs": _runs(settings, kind, folder.name),
    }


def tree(found: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield the lines of a lineage as people read it, what belongs to a thing below it."""
    data, code, taxonomy, gate = (found[name] for name in ("data", "code", "taxonomy", "gate"))
    yield f"{indent}{found['model']}" + (f", as of {time_in_words(found['as_of'])}" if found["as_of"] else "")
    inner = f"{indent}  "
    if data["log_version"] is None:
        yield f"{inner}data: {data['version'] or 'not known'}"
    else:
        there = "still there" if data["is_there"] else "gone since, because people were erased or it was deleted"
        yield f"{inner}data: {data['version']}, version {data['log_version']} of the log, {there}"
        for entry in data["sources"]:
            yield f"{inner}  {entry}"
    same = "this one" if code["is_this"] else "another than this one"
    yield f"{inner}code: {code['version'] or 'not known'}, {same}"
    if taxonomy is not None:
        yield f"{inner}taxonomy: {taxonomy['name']}, version {taxonomy['version']}, {taxonomy['tags']} tags"
    yield f"{inner}erased since: {found['erased_since']} people"
    for run in found["runs"]:
        checks = ", ".join(f"{count} {status}" for status, count in sorted(run["data"].items()))
        yield f"{inner}run: {run['run']}, data checks {checks or 'not made'}: {run['said']}"
    if gate is None:
        yield f"{inner}gate: never compared"
    else:
        yield f"{inner}gate: {gate['reason']}"
        for check in gate["checks"]:
            yield f"{inner}  {check['status']} {check['name']}: {check['said']}"
    for move in found["promotions"]:
        who = f" by {move['by']}" if move["by"] else ""
        before = f", in place of {move['before']}" if move["before"] else ", the first champion"
        yield f"{inner}{move['how']}: {time_in_words(move['at'])}{who}{before}"
    if found["registry"] is not None:
        run, version = found["registry"]["run_id"], found["registry"]["model_version"]
        yield f"{inner}MLflow: run {run}, model version {version}"
    for parent in found["parents"]:
        yield f"{inner}{parent['what']}:" + ("" if parent["lineage"] else f" {parent['model']}, gone since")
        if parent["lineage"]:
            yield from tree(parent["lineage"], f"{inner}  ")


def _data(settings: Settings, said: str) -> dict[str, Any]:
    number = said.partition("-")[0].removeprefix("v")
    found: dict[str, Any] = {"version": said, "log_version": None, "is_there": False, "sources": []}
    if not number.isdecimal():
        return found
    found["log_version"] = version = int(number)
    try:
        log = EventLog.open(settings)
        log.log_table("events").files(version)
    except EventLogError:
        return found
    entries = [entry for entry in log.log_table("events").history() if int(entry["version"]) <= version]
    sources = [
        f"{entry.get('source', 'unknown')}, {day_text(int(entry['committed_at']), log.timezone)}"
        for entry in entries
    ]
    return found | {"is_there": True, "sources": list(dict.fromkeys(sources))}


def _taxonomy(folder: Path) -> dict[str, Any] | None:
    if not (folder / "taxonomy.json").exists():
        return None
    said = _read(folder, "taxonomy.json")
    return {"name": said["name"], "version": said["version"], "tags": len(said["tags"])} | {
        "hash": _read(folder, "about.json").get("taxonomy_hash")
    }


def _parents(settings: Settings, folder: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models that a model was made with: their scores are among its features."""
    model = about.get("tags_bundle")
    if not model:
        return []
    own = settings.bundles_dir / model
    there = own if own.is_dir() else tags_inside(folder)
    found = None if there is None else lineage(settings, there, TAGS) | {"model": model}
    return [{"what": "reads scores of", "model": model, "lineage": found}]


def _gate(settings: Settings, model: str) -> dict[str, Any] | None:
    verdict = read_verdict(settings, model)
    if verdict is None:
        return None
    checks = [{name: check[name] for name in ("name", "status", "said")} for check in verdict["report"]["checks"]]
    return {name: verdict.get(name) for name in ("promote", "reason", "forced")} | {
        "champion": verdict["sides"]["champion"],
        "checks": checks,
    }


def _promotions(settings: Settings, kind: Kind, model: str) -> list[dict[str, Any]]:
    """Return when a model became the champion, in place of which, the latest first."""
    moves = promotions(settings, kind)
    before = [*(move.bundle for move in moves[1:]), None]
    return [
        asdict(move) | {"before": earlier, "serves": number == 0}
        for number, (move, earlier) in enumerate(zip(moves, before, strict=False))
        if move.bundle == model
    ]


def _registry(settings: Settings, kind: Kind, model: str) -> dict[str, str] | None:
    found = registered(settings, model, kind)
    return None if found is None else asdict(found[1])


def _runs(settings: Settings, kind: Kind, model: str) -> list[dict[str, Any]]:
    """Return the retraining jobs that made or met a model, the earliest first, with what the data checks said."""
    found = []
    for path in sorted((settings.home / "runs").glob("*/summary.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["versions"].get(kind.name) != model:
                continue
        except (OSError, ValueError, KeyError):  # one that is being written, or removed
            continue
        statuses = Counter(check["status"] for check in (said.get("data") or {}).get("checks", ()))
        found.append(
            {name: said[name] for name in ("run", "as_of", "code_name", "said")} | {"data": dict(statuses)}
        )
    return found


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError("a bundle does not say where it comes from", value=folder.name) from error
    return found
