"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from serving.pages.evaluation_page import quality_rows
from serving.pages.report import PersonCard
from training.tags.evaluation import Evaluation


def quality_table(evaluation: Evaluation) -> Table:
    """Show the model beside its baselines."""
    table = Table(title=f"Quality on a later window, {evaluation.people:,} people", title_justify="left")
    table.add_column("model")
    for heading in ("macro AUC", "macro AP", "log loss", "calibration error", "lift, top decile"):
        table.add_column(heading, justify="right")
    for row in quality_rows(evaluation):
        table.add_row(
            row["name"],
            f"{row['macro_auc']:.4f}",
            f"{row['macro_ap']:.4f}",
            f"{row['log_loss']:.4f}",
            f"{row['ece']:.4f}",
            f"{row['macro_lift_top_decile']:.2f}",
        )
    return table


def people_table(people: Sequence[PersonCard]) -> Table:
    """Show some people with their strongest tags in words."""
    table = Table(title="Ten people, their strongest tags now", title_justify="left", show_lines=True)
    table.add_column("person", no_wrap=True)
    table.add_column("tags")
    for person in people:
        lines = []
        for tag in person.tags:
            reason = f" — {'; '.join(tag.factors[:2])}" if tag.factors else ""
            lines.append(f"{100 * tag.probability:.0f} % {tag.name}{reason}")
        table.add_row(person.key, "\n".join(lines))
    return table
