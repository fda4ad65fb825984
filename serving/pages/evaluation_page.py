"""The evaluation page: quality over all, by slice, per tag, and how steady assignments are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from features.taxonomy.taxonomy import Taxonomy
from serving.pages.render import number, percent, pictures, write_page
from training.tags.evaluation import Evaluation

MODEL_NAMES = {
    "zhongcao": "zhongcao",
    "logistic_regression": "pooled logistic regression",
    "history_count": "history count",
}
_TAG_HEADINGS: Final = (
    "tag", "base rate", "AUC", "AP", "log loss", "normalised entropy", "calibration error", "lift",
    "assigned", "stay a week", "changed",
)  # fmt: skip


def write_evaluation(
    path: Path,
    *,
    facts: Sequence[str],
    window: str,
    evaluation: Evaluation,
    taxonomy: Taxonomy,
    too_rare: Sequence[str],
    plots: Sequence[Path],
    commands: Sequence[str],
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    facts
        What was evaluated on what, in words.
    window
        The later window, in words.
    evaluation, taxonomy, too_rare
        Quality, names, and the tags that were left out.
    plots
        PNG files, put into the page.
    commands
        What to type next.
    """
    write_page(
        path,
        "evaluation.html",
        title="evaluation",
        facts=facts,
        commands=commands,
        **quality_values(evaluation, taxonomy, window, too_rare, plots),
    )


def quality_values(
    evaluation: Evaluation, taxonomy: Taxonomy, window: str, too_rare: Sequence[str], plots: Sequence[Path]
) -> dict[str, object]:
    """Return what the templates ``quality.html`` and ``details.html`` show."""
    return {
        "window": window,
        "quality": quality_rows(evaluation),
        "worse": [taxonomy.tag(tag).name for tag in evaluation.worse_than_base_rate],
        "plots": pictures(plots),
        "slices": _slice_rows(evaluation),
        "stability": _stability(evaluation),
        "too_rare": too_rare,
        "tag_headings": _TAG_HEADINGS,
        "tags": _tag_rows(evaluation, taxonomy),
        "people_scored": f"{evaluation.people:,}",
    }


def quality_rows(evaluation: Evaluation) -> list[Mapping[str, Any]]:
    """Return one row per model, ours first, with its macro metrics."""
    return [
        {"name": name, **asdict(evaluation.macro[key])}
        for key, name in MODEL_NAMES.items()
        if key in evaluation.macro
    ]


def _slice_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    seen: set[str] = set()
    rows = []
    for part in evaluation.slices:
        first = part.dimension not in seen
        seen.add(part.dimension)
        rows.append(
            {
                "first": first,
                "dimension": part.dimension,
                "name": part.name,
                "people": part.people,
                **asdict(part.metrics),
            }
        )
    return rows


def _stability(evaluation: Evaluation) -> dict[str, object] | None:
    found = evaluation.stability
    if found is None or not found.people:
        return None
    over_all = found.over_all
    return {
        "days": found.days,
        "people": f"{found.people:,}",
        "people_changed": f"{found.people_changed:,}",
        "jaccard": percent(over_all.jaccard),
        "tags_each": number(over_all.before / found.people, 1),
        "gained": number((over_all.after - over_all.both) / found.people, 1),
        "lost": number((over_all.before - over_all.both) / found.people, 1),
    }


def _tag_rows(evaluation: Evaluation, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    worse = set(evaluation.worse_than_base_rate)
    rows = []
    for tag_id, metrics in evaluation.per_tag.items():
        tag = taxonomy.tag(tag_id)
        steady, people = None, 1
        if evaluation.stability is not None:
            steady, people = evaluation.stability.per_tag[tag_id], max(evaluation.stability.people, 1)
        cells = [
            _percent(metrics.positives / metrics.people),
            _number(metrics.auc),
            _number(metrics.ap),
            _number(metrics.log_loss),
            _number(metrics.normalised_entropy) | {"worse": tag_id in worse},
            _number(metrics.ece),
            _number(metrics.lift_top_decile, 1),
            _percent(evaluation.assigned[tag_id]),
            _percent(steady.jaccard if steady else math.nan),
            _percent(steady.changed / people if steady else math.nan),
        ]
        rows.append(
            {"id": tag_id, "name": tag.name, "name_zh": tag.name_zh, "meaning": tag.meaning, "cells": cells}
        )
    return rows


def _number(value: float, places: int = 3) -> dict[str, object]:
    return {"value": _sorted_by(value), "text": number(value, places)}


def _percent(share: float) -> dict[str, object]:
    return {"value": _sorted_by(share), "text": percent(share)}


def _sorted_by(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ""
