"""The retraining chain: train, evaluate on a later window, register, promote, fill the online store, report."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from features.days import DAY_SECONDS, day_text, days_text
from features.durable import write_durably
from features.errors import TrainingError
from features.locks import exclusive
from features.log.event_log import EventLog
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.champions.running_servers import await_servers
from serving.online.added_columns import forget_added
from serving.online.backfill import backfill
from serving.pages.people_cards import some_people
from serving.pages.report import write_report
from serving.pages.tables import people_table, quality_table
from training.bundles.champion import promote
from training.bundles.manifest import TAGS
from training.code import code_version
from training.new_tags.windows import forget_bins
from training.registry import Registered, Registry
from training.source import present_of
from training.splits import last_mature
from training.steps import Steps
from training.tags.bundle import Bundle, load_bundle
from training.tags.evaluation import Evaluation
from training.tags.job import JobSettings, TagJob
from training.tags.plots import draw_evaluation


def retrain(settings: Settings, taxonomy: Taxonomy, as_of: str, choices: JobSettings) -> None:
    """Run the chain; whatever an earlier run with the same inputs finished is reused.

    The model is trained as of the start of the last mature outcome window and evaluated on that window, so the
    model that is promoted is the one that was measured. People are then scored as of `as_of`.

    Parameters
    ----------
    settings
        Where everything lies.
    taxonomy
        The tags.
    as_of
        Day, ISO time or ``now``.
    choices
        What the user chose about training.

    Raises
    ------
    TrainingError
        Another run holds the lock.
    EventLogError, LogTooShortError
        There is no log, or it is too short.
    """
    started = time.perf_counter()
    steps = Steps()
    log = EventLog.open(settings)
    zone = log.timezone
    present = present_of(log, as_of)
    steps.say(f"everything is as of {day_text(present, zone)}")
    horizon = taxonomy.horizon_days
    trained_at = last_mature(present, horizon, choices.delay_days * DAY_SECONDS, zone)
    busy = TrainingError(
        "another retraining job runs in this home", next_step="wait for it, or set another ZHONGCAO_HOME"
    )
    with exclusive(settings.work_dir / "retrain.lock", busy):
        job = TagJob(settings, taxonomy, trained_at, choices, steps)
        job.require_outcomes(trained_at, present)
        folder = job.train()
        evaluation = job.evaluate(folder, trained_at, present)
        bundle = load_bundle(folder)
        plots = draw_evaluation(evaluation, taxonomy, job.folder / "plots")
        registry = Registry(settings.mlruns)
        registered = _register(registry, job, folder, bundle, evaluation)
        promote(settings, folder)
        registry.set_alias("champion", registered.model_version)
        window = job.windows([present], None, "features as of now")[0]
        # A server that has the new bundle ready hands over with the first request that finds the new rows.
        with steps.step("running servers", 1) as advance:
            servers = await_servers(settings, TAGS, folder.name)
            advance()
        for server in servers:
            steps.say(server)
        backfill(settings, bundle, present, steps, choices.kinds)
        job.builder.forget_older()
        forget_added(settings, [bundle.layout])
        forget_bins(settings)
        people = some_people(settings, bundle, list(window.persons), evaluation)
        commands = next_commands(settings, bundle)
        write_report(
            settings.report_file,
            facts=_facts(bundle, registered, evaluation, zone, present),
            window=f"{day_text(trained_at, zone)} to {day_text(trained_at + horizon * DAY_SECONDS, zone)}",
            evaluation=evaluation,
            taxonomy=taxonomy,
            too_rare=bundle.about["training"]["too_rare"],
            plots=plots,
            people=people,
            commands=commands,
        )
    steps.console.print(people_table(people))
    steps.console.print(quality_table(evaluation))
    too_rare = bundle.about["training"]["too_rare"]
    if too_rare:
        steps.say(f"{len(too_rare)} tags are too rare to learn and were left out: {', '.join(too_rare)}")
    steps.say(f"done in {time.perf_counter() - started:.0f} s; report: {settings.report_file}")
    steps.say("next:\n" + "\n".join(f"  {command}" for command in commands))


def next_commands(settings: Settings, bundle: Bundle) -> list[str]:
    """Return what to type after a run, with the programs named as this one was."""
    called = Path(sys.argv[0])
    # Found on the search path it is known by its whole path, which nobody types and a report need not tell.
    program = called if called.name == "zhongcao" and not called.is_absolute() else Path("zhongcao")
    store = settings.mlruns / "mlflow.db"
    return [
        f"{program} serve",
        f"curl -s http://{settings.host}:{settings.port}/readyz",
        f"{program} taxonomy show {bundle.taxonomy.tags[0].id}",
        f"{program.with_name('mlflow')} ui --backend-store-uri sqlite:///{store} --host 127.0.0.1",
    ]


def _register(registry: Registry, job: TagJob, folder: Path, bundle: Bundle, evaluation: Evaluation) -> Registered:
    done = job.folder / "registered.json"
    if done.exists():
        known = Registered(**json.loads(done.read_text()))
        if registry.has(known):
            job.steps.reused("MLflow run")
            return known
    with job.steps.step("MLflow run", 1) as advance:
        registered = registry.log_run(
            name=bundle.version,
            params={"as_of": bundle.as_of, "choices": json.dumps(bundle.about["choices"]), **_counts(bundle)},
            metrics=_metrics(evaluation),
            tags={
                "data_version": bundle.about["data_version"],
                "taxonomy_hash": bundle.taxonomy.hash,
                "code_version": code_version(),
                "bundle": bundle.version,
            },
            bundle=folder,
            pictures=job.folder / "plots",
        )
        advance()
    write_durably(done, json.dumps(asdict(registered)))
    return registered


def _counts(bundle: Bundle) -> dict[str, object]:
    training = bundle.about["training"]
    return {
        "tags": int(bundle.model.active.sum()),
        "too_rare": len(training["too_rare"]),
        "training_rows": training["people"],
        "training_pairs": training["pairs"],
        "heads": training["headed"],
        "mean_head_share": training["head_share"],
    }


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    flat = {
        f"{model}.{name}": value
        for model, macro in evaluation.macro.items()
        for name, value in macro.as_dict().items()
    }
    for tag, metrics in evaluation.per_tag.items():
        for name in ("auc", "ap", "log_loss", "normalised_entropy", "ece", "lift_top_decile"):
            flat[f"tag.{tag}.{name}"] = getattr(metrics, name)
    return flat


def _facts(bundle: Bundle, registered: Registered, evaluation: Evaluation, zone: str, present: int) -> list[str]:
    return [
        f"model {bundle.version}, version {registered.model_version} in MLflow, alias champion",
        f"trained as of {day_text(bundle.as_of, zone)}, outcomes within {days_text(bundle.taxonomy.horizon_days)}",
        *bundle.about["chosen"],
        f"people scored as of {day_text(present, zone)}",
        f"{int(bundle.model.active.sum())} tags",
        f"{evaluation.people:,} people in the evaluation",
        f"data {bundle.about['data_version']}",
    ]
