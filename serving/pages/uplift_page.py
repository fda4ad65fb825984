"""The page and the file of an uplift run: what ranking by effect is worth, and whom to show it to."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from features.durable import write_durably
from serving.pages.render import pictures, write_page
from training.uplift.intervals import Interval
from training.uplift.trial import Trial
from training.uplift.worth import ArmWorth, Ranked


def worth_rows(worth: ArmWorth) -> list[dict[str, Any]]:
    """Return both rankings and a random order as rows of a table; figures are intervals or None."""
    rows: list[dict[str, Any]] = [
        {"name": name, "qini": ranking.qini, "auuc": ranking.auuc, "top": list(ranking.top.values())}
        for name, ranking in (("by effect", worth.by_effect), ("by probability", worth.by_probability))
    ]
    return [*rows, {"name": "random", "qini": None, "auuc": None, "top": [worth.effect] * len(rows[0]["top"])}]


def verdict(worth: ArmWorth) -> str:
    """Say whether the ranking by effect is better than a random one beyond noise."""
    if worth.by_effect.qini.low > 0:
        return f"{worth.arm}: the ranking by effect is better than a random order"
    return (
        f"{worth.arm}: the ranking by effect is not better than a random order beyond noise; "
        "these columns do not tell whom it changes"
    )


def worth_table(worth: ArmWorth, outcome: str) -> Table:
    """Show one arm in the terminal."""
    table = Table(
        title=f"{worth.arm}: effect on {outcome}, {worth.treated:,} treated and {worth.control:,} not; "
        "95 % intervals",
        title_justify="left",
    )
    rows = worth_rows(worth)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(row["name"], justify="right", no_wrap=True)
    for name in ("qini", "auuc"):
        table.add_row({"qini": "Qini", "auuc": "AUUC"}[name], *(_cell(row[name]) for row in rows))
    for place, share in enumerate(worth.by_effect.top):
        table.add_row(f"effect, top {share:.0%}", *(_cell(row["top"][place]) for row in rows))
    return table


def write_uplift(
    path: Path,
    *,
    arms: Sequence[ArmWorth],
    outcome: str,
    facts: Sequence[str],
    left_out: dict[str, str],
    plots: Sequence[Path],
    commands: Sequence[str],
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    arms
        What was measured.
    outcome
        Name of the outcome.
    facts
        What was run on what, in words.
    left_out
        Columns that were not used → why.
    plots
        PNG files, put into the page.
    commands
        What to type next.
    """
    write_page(
        path,
        "uplift.html",
        title="uplift",
        arms=[
            {
                "worth": worth,
                "verdict": verdict(worth),
                "rows": worth_rows(worth),
                "shares": list(worth.by_effect.top),
            }
            for worth in arms
        ],
        outcome=outcome,
        facts=facts,
        left_out=left_out,
        plots=pictures(plots),
        commands=commands,
    )


def write_ranking(path: Path, trial: Trial, ranked: Ranked) -> int:
    """Write everybody, those who gain most first, and return how many are expected to gain.

    Columns: ``rank, person, arm, effect, probability``; the arm is the one with the largest effect on that person,
    the probability is the expected outcome under it. With several arms, one more column per arm holds its effect.

    Parameters
    ----------
    path
        The CSV file; for its owner only.
    trial, ranked
        The people, and what is expected of them.
    """
    best = ranked.effects.argmax(axis=1)
    rows = np.arange(len(best))
    effect, probability = ranked.effects[rows, best], ranked.probabilities[rows, best]
    several = len(trial.arms.treated) > 1
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    more = [f"effect of {arm}" for arm in trial.arms.treated] if several else []
    out.writerow(["rank", "person", "arm", "effect", "probability", *more])
    for rank, row in enumerate(np.argsort(-effect, kind="stable"), 1):
        figures = [effect[row], probability[row], *(ranked.effects[row] if several else ())]
        out.writerow(
            [rank, trial.people[row], trial.arms.treated[best[row]], *(f"{figure:.6g}" for figure in figures)]
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.getvalue())
    return int((effect > 0).sum())


def _cell(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.3g}\n({found.low:.2g} … {found.high:.2g})"
