"""What a shadow has seen so far, of all servers of the home: agreement, and how both did where it is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any, Final

import numpy as np

from features.errors import ZhongcaoError
from features.log.event_log import EventLog
from features.settings import Settings
from serving.predictions.words import time_in_words
from serving.shadow.agreement import Agreement
from serving.shadow.kept_scores import KeptScores
from serving.shadow.matured import matured_conversions, matured_tags
from serving.shadow.pointer import Pointed, shadow_folder
from training.bundles.manifest import TAGS, Kind
from training.quality.json_figures import to_json
from training.source import present_of

_COUNTS: Final = ("scored", "dropped", "unread")
_FIGURES: Final = ("correlation", "mean_difference", "mean_distance", "jaccard")


def seen_so_far(settings: Settings, kind: Kind, pointed: Pointed) -> dict[str, Any]:
    """Return what a shadow has seen, as JSON takes it.

    Returns
    -------
    dict
        ``kind``, ``bundle``, ``since``, ``share``; how many predictions it ``scored``, ``dropped`` (it was busy)
        and left ``unread`` (and ``why``); ``agreement`` by tag or target with its mean under ``overall``; and under
        ``matured`` what came true, by tag or target. Figures that are not defined are null.
    """
    folder = shadow_folder(settings, kind, pointed)
    states = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("state-*.json"))]
    parts = [Agreement.from_dict(part) for state in states for part in state["agreement"]]
    together = reduce(Agreement.plus, parts, Agreement.empty(()))
    rows = together.figures()
    counts = {name: sum(state[name] for state in states) for name in _COUNTS}
    why = next((state["why"] for state in reversed(states) if state["why"]), "")
    overall = {name: _mean([row[name] for row in rows]) for name in _FIGURES}
    said: dict[str, Any] = to_json(
        {
            "kind": kind.name,
            "bundle": pointed.bundle,
            "since": pointed.since,
            "share": pointed.share,
            **counts,
            "why": why,
            "overall": overall,
            "agreement": rows,
            **_matured(settings, kind, pointed),
        }
    )
    return said


def in_words(said: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that tell what a shadow has seen, but for the tables."""
    yield (
        f"{said['bundle']} runs beside the champion of {said['kind']} since {time_in_words(said['since'])}: "
        f"{said['scored']:,} predictions scored, {said['dropped']:,} dropped since it was busy"
    )
    if said["unread"]:
        yield f"{said['unread']:,} predictions not scored: {said['why']}"
    for name, value in said["overall"].items():
        if value is not None:
            yield f"{name.replace('_', ' ')}, mean of {len(said['agreement'])}: {value:.4g}"
    if said["matured_problem"]:
        yield f"what came true is not known: {said['matured_problem']}"


def figures_of(said: dict[str, Any]) -> dict[str, float]:
    """Return the figures that MLflow keeps, by name."""
    found = {name: float(said[name]) for name in _COUNTS}
    found |= {name: float(value) for name, value in said["overall"].items() if value is not None}
    for row in said["matured"]:
        for side in ("champion", "challenger"):
            for name, value in row[side].items():
                if value is not None:
                    found[f"{row['name']}.{side}.{name}"] = float(value)
    return found


def _matured(settings: Settings, kind: Kind, pointed: Pointed) -> dict[str, Any]:
    kept = list(KeptScores(shadow_folder(settings, kind, pointed)).read())
    matured = matured_tags if kind is TAGS else matured_conversions
    try:
        present = present_of(EventLog.open(settings), "now")
        found = matured(settings, pointed.bundle, kept, present) if kept else []
    except ZhongcaoError as error:
        return {"kept": len(kept), "matured": [], "matured_problem": error.problem}
    return {"kept": len(kept), "matured": found, "matured_problem": ""}


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
