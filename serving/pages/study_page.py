"""The page of a study: stability over windows, ablation, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.days import day_text
from serving.pages.render import pictures, write_page
from training.study.study import Study


def write_study(
    path: Path, *, study: Study, timezone: str, facts: Sequence[str], plots: Sequence[Path], commands: Sequence[str]
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    study
        What was found; parts that were not run are left out.
    timezone
        In which days are named.
    facts
        What was studied, in words.
    plots
        PNG files, put into the page.
    commands
        What to type next.
    """
    write_page(
        path,
        "study.html",
        title="study",
        study=study,
        windows=[
            {"day": day_text(e.instant, timezone), "people": e.people, "macro": e.macro} for e in study.windows
        ],
        facts=facts,
        plots=pictures(plots),
        commands=commands,
    )
