"""Writes what an evaluation of a run found as a page beside the report."""

from __future__ import annotations

from pathlib import Path

from features.days import DAY_SECONDS, day_text
from serving.pages.evaluation_page import write_evaluation
from training.tags.bundle import load_bundle
from training.tags.evaluation import Evaluation
from training.tags.job import TagJob
from training.tags.plots import draw_evaluation


def write_evaluation_page(job: TagJob, bundle: Path, evaluation: Evaluation, commands: list[str]) -> Path:
    """Draw the plots and write the page.

    Parameters
    ----------
    job, bundle
        The run and the model that it made.
    evaluation
        What `TagJob.evaluate` returned.
    commands
        What to type next.

    Returns
    -------
    Path
        The page.
    """
    made = load_bundle(bundle)
    zone = job.builder.source.timezone
    start = evaluation.instant
    path = job.settings.report_file.with_name("evaluation.html")
    write_evaluation(
        path,
        facts=[
            f"model {made.version}",
            f"trained as of {day_text(made.as_of, zone)}",
            f"{int(made.model.active.sum())} tags",
            f"{evaluation.people:,} people",
            f"assigned by the rule {job.choices.tags.assign}",
            f"data {made.about['data_version']}",
        ],
        window=f"{day_text(start, zone)} to {day_text(start + job.horizon * DAY_SECONDS, zone)}",
        evaluation=evaluation,
        taxonomy=job.taxonomy,
        too_rare=made.about["training"]["too_rare"],
        plots=draw_evaluation(evaluation, job.taxonomy, job.folder / f"plots-{start}"),
        commands=commands,
    )
    return path
