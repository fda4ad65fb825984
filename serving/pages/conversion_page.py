"""The page and the tables of what a conversion model reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.table import Table

from features.days import day_text
from serving.pages.render import write_page
from training.conversion.bundle import load_conversion_bundle
from training.conversion.evaluation import OURS, ConversionEvaluation
from training.conversion.job import ConversionJob
from training.conversion.quality import Ratio

NAMES: Final = {
    OURS: "zhongcao",
    "click_only": "click model × model of clicks alone",
    "logistic_regression": "logistic regression",
    "base_rate": "base rate",
}
_FIGURES: Final = ("auc", "ap", "log_loss", "normalised_entropy")
_HEADINGS: Final = ("AUC", "AP", "log loss", "normalised entropy")


def quality_tables(found: ConversionEvaluation) -> Iterator[Table]:
    """Return one table of models per target, and one of the parts of the impressions."""
    for target, models in found.quality.items():
        ours = models[OURS]
        table = Table(
            title=f"{target} within {found.window_days[target]:g} days: {ours.positives:,} of "
            f"{ours.impressions:,} impressions",
            title_justify="left",
        )
        table.add_column("model")
        for heading in (*_HEADINGS, "predicted / observed", "deciles, least and most"):
            table.add_column(heading, justify="right")
        for name, shown in NAMES.items():
            if name in models:
                figures = models[name]
                ratios = [decile.value for decile in figures.deciles]
                table.add_row(
                    shown,
                    *(f"{getattr(figures, figure):.4f}" for figure in _FIGURES),
                    said(figures.total),
                    f"{min(ratios):.2f} – {max(ratios):.2f}",
                )
        yield table


def said(ratio: Ratio) -> str:
    """Write a ratio with its interval.

    Examples
    --------
    >>> said(Ratio(1.0, 0.9, 1.123))
    '1.00 (0.90–1.12)'
    """
    return f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def write_conversion_page(path: Path, job: ConversionJob, bundle: Path, found: ConversionEvaluation) -> Path:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    job, bundle
        The run and its model.
    found
        What it reached.
    """
    made = load_conversion_bundle(bundle)
    zone = job.source.log.timezone
    write_page(
        path,
        "conversion.html",
        title="conversion models",
        facts=[
            f"model {made.version}",
            f"trained as of {day_text(made.as_of, zone)}",
            f"strategy {job.choices.fit.strategy}",
            f"a purchase shares the impression's {job.choices.match}",
            f"{found.people:,} people",
            f"data {made.about['data_version']}",
        ],
        commands=["zhongcao train conversion"],
        window=f"{day_text(found.start, zone)} to {day_text(found.end - 1, zone)}",
        headings=_HEADINGS,
        targets=[
            {
                "name": target,
                "days": f"{found.window_days[target]:g}",
                "impressions": f"{models[OURS].impressions:,}",
                "positives": f"{models[OURS].positives:,}",
                "models": [
                    {"name": shown, **asdict(models[name]), "sum": said(models[name].total)}
                    for name, shown in NAMES.items()
                    if name in models
                ],
                "beaten": [(NAMES[name], f"{d.value:+.5f} ({d.low:+.5f} to {d.high:+.5f})")
                           for name, d in found.beaten_by[target].items()],
                "deciles": [
                    (f"{100 * predicted:.3f}", f"{100 * observed:.3f}", said(ratio))
                    for (predicted, observed), ratio in zip(
                        models[OURS].shares, models[OURS].deciles, strict=True
                    )
                ],
                "slices": [
                    {"dimension": part.dimension, "name": part.name, "impressions": f"{part.quality.impressions:,}",
                     "positives": f"{part.quality.positives:,}", "auc": part.quality.auc,
                     "normalised_entropy": part.quality.normalised_entropy, "sum": said(part.quality.total)}
                    for part in found.slices if part.target == target
                ],
            }
            for target, models in found.quality.items()
        ],
    )  # fmt: skip
    return path
