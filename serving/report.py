"""The report page of a retraining job: one HTML file that needs nothing from outside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment

from features.taxonomy import Taxonomy
from training.evaluation import Evaluation

MODEL_NAMES = {
    "zhongcao": "zhongcao",
    "logistic_regression": "pooled logistic regression",
    "history_count": "history count",
}


@dataclass(frozen=True)
class TagLine:
    """One tag of one person, as people read it."""

    name: str
    name_zh: str
    probability: float
    times: float | None
    factors: Sequence[str]


@dataclass(frozen=True)
class PersonCard:
    """A person, by the start of their pseudonymous key, with the strongest tags."""

    key: str
    tags: Sequence[TagLine]


def write_report(
    path: Path,
    *,
    facts: Sequence[str],
    window: str,
    evaluation: Evaluation,
    taxonomy: Taxonomy,
    too_rare: Sequence[str],
    plots: Sequence[Path],
    people: Sequence[PersonCard],
    commands: Sequence[str],
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    facts
        What was run on what, in words.
    window
        The later window, in words.
    evaluation, taxonomy, too_rare
        Quality, names, and the tags that were left out.
    plots
        PNG files, put into the page.
    people
        Cards of some people.
    commands
        What to type next.
    """
    source = (files("serving") / "templates" / "report.html").read_text(encoding="utf-8")
    page = (
        Environment(autoescape=True)
        .from_string(source)
        .render(
            facts=facts,
            window=window,
            quality=quality_rows(evaluation),
            plots=[
                {"name": p.stem.replace("_", " "), "data": base64.b64encode(p.read_bytes()).decode()} for p in plots
            ],
            people=people,
            people_scored=f"{evaluation.people:,}",
            too_rare=too_rare,
            tags=_tag_rows(evaluation, taxonomy),
            commands=commands,
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(path)


def quality_rows(evaluation: Evaluation) -> list[Mapping[str, Any]]:
    """Return one row per model, ours first, with its macro metrics."""
    return [
        {"name": name, **asdict(evaluation.macro[key])}
        for key, name in MODEL_NAMES.items()
        if key in evaluation.macro
    ]


def _tag_rows(evaluation: Evaluation, taxonomy: Taxonomy) -> list[dict[str, str]]:
    rows = []
    for tag_id, metrics in evaluation.per_tag.items():
        tag = taxonomy.tag(tag_id)
        rows.append(
            {
                "id": tag_id,
                "name": tag.name,
                "name_zh": tag.name_zh,
                "meaning": tag.meaning,
                "base_rate": _percent(metrics.positives / metrics.people),
                "auc": _number(metrics.auc, 3),
                "ap": _number(metrics.ap, 3),
                "normalised_entropy": _number(metrics.normalised_entropy, 3),
                "lift": _number(metrics.lift_top_decile, 1),
                "assigned": _percent(evaluation.assigned[tag_id]),
            }
        )
    return rows


def _number(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
