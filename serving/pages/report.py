"""The report page of a retraining job: one HTML file that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.taxonomy.taxonomy import Taxonomy
from serving.pages.evaluation_page import quality_values
from serving.pages.render import write_page
from training.tags.evaluation import Evaluation


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
    write_page(
        path,
        "report.html",
        title="report",
        facts=facts,
        people=people,
        commands=commands,
        **quality_values(evaluation, taxonomy, window, too_rare, plots),
    )
