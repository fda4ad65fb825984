"""The retraining job: checks, models, their comparison with the champions, promotion, stores, report."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from features.days import DAY_SECONDS, day_text
from features.durable import write_durably
from features.errors import EventLogError, ZhongcaoError
from features.events import EVENTS
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.locks import exclusive
from features.log.event_log import EventLog
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.jobs.conversion_part import ConversionPart
from serving.jobs.gates import data_report
from serving.jobs.job_steps import JobSteps
from serving.jobs.outcome import BusyError, Code, Summary, keep, run_name
from serving.jobs.promotion import champion_of
from serving.jobs.register_conversion import register_conversion
from serving.jobs.register_tags import register_tags
from serving.jobs.retrain_report import next_commands, report_on
from serving.jobs.shipping import Shipping
from serving.jobs.state_of_things import reasons
from serving.online.added_columns import forget_added
from training.bundles.manifest import CONVERSION, TAGS, Kind, canonical_json, intact
from training.code import code_version
from training.gates.check import Report
from training.new_tags.windows import forget_bins
from training.registry import Registry
from training.source import present_of
from training.splits import last_mature
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.job import JobSettings, TagJob
from training.tags.plots import draw_evaluation
from training.triggers.trigger import fired


def retrain(
    settings: Settings,
    taxonomy: Taxonomy,
    as_of: str,
    choices: JobSettings,
    *,
    accept: tuple[str, ...] = (),
    why: str = "",
    if_needed: bool = False,
) -> Summary:
    """Run the job; whatever an earlier run with the same inputs finished is reused.

    The tag models are trained as of the start of the last mature outcome window and evaluated on that window, so
    the model that is promoted is the one that was measured. People are then scored as of `as_of`.

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
    accept, why
        Data checks that may fail, and the reason.
    if_needed
        Do nothing where there is no reason, see `serving.jobs.state_of_things.reasons`.

    Returns
    -------
    Summary
        What it came to; errors that a user can mend are told in it. It is kept in the home's history of runs.
    """
    summary = Summary(run_name())
    steps = Steps()
    busy = BusyError(
        "another retraining job runs in this home", next_step="wait for it, or set another ZHONGCAO_HOME"
    )
    try:
        with exclusive(settings.work_dir / "retrain.lock", busy):
            if not if_needed or _needed(settings, taxonomy, as_of, steps, summary):
                _Run(settings, taxonomy, choices, steps, summary).go(as_of, accept, why)
    except ZhongcaoError as error:
        summary.fail(error)
        if not isinstance(error, BusyError):
            # What is mended, such as a log that was too short, must be seen by the next run.
            (settings.work_dir / "retrain" / "unfinished.json").unlink(missing_ok=True)
    keep(settings, summary)
    return summary


def _needed(settings: Settings, taxonomy: Taxonomy, as_of: str, steps: Steps, summary: Summary) -> bool:
    """Note the reasons to retrain; tell whether there is one."""
    found = reasons(settings, steps, as_of=as_of, taxonomy=taxonomy)
    summary.reasons = [one.as_dict() for one in found]
    for one in fired(found):
        steps.say(f"{one.name}: {one.said}")
    if not fired(found):
        summary.said = "nothing to do: there is no reason to retrain"
        steps.say(summary.said)
    return bool(fired(found))


class _Run:
    def __init__(
        self, settings: Settings, taxonomy: Taxonomy, choices: JobSettings, steps: Steps, summary: Summary
    ) -> None:
        self.settings, self.taxonomy, self.choices = settings, taxonomy, choices
        self.steps, self.summary = steps, summary
        self.folder = settings.work_dir / "retrain"
        self.job_steps = JobSteps(self.folder, steps)
        summary.steps = self.job_steps.done

    def go(self, as_of: str, accept: tuple[str, ...], why: str) -> None:
        """Do all steps."""
        started = time.perf_counter()
        settings, taxonomy, steps, run = self.settings, self.taxonomy, self.steps, self.job_steps.run
        log, present, version = self._snapshot(as_of)
        zone, horizon = log.timezone, taxonomy.horizon_days
        steps.say(f"everything is as of {day_text(present, zone)}")
        trained_at = last_mature(present, horizon, self.choices.delay_days * DAY_SECONDS, zone)
        job = TagJob(settings, taxonomy, trained_at, self.choices, steps, version=version)
        job.require_outcomes(trained_at, present)
        source = job.builder.source
        self.summary.as_of = present
        self.summary.versions |= {
            "data": source.data_version,
            "taxonomy": taxonomy.hash,
            "code": code_version(),
        }
        inputs = [source.data_version, taxonomy.hash, code_version(), present, asdict(self.choices)]

        self.summary.data = run(
            "data-checks",
            [inputs, accept, why],
            lambda: data_report(log, taxonomy, present, accept, why, version=version),
        )
        report = Report.from_dict(self.summary.data)
        if not report.passed:
            self._shut(report)
            return

        run("features-and-labels", inputs, lambda: _windows(job))
        bundle_name = run("train-tags", inputs, lambda: {"bundle": job.train().name}, self._whole(TAGS))["bundle"]
        folder = settings.bundles_dir / bundle_name
        bundle = load_bundle(folder)
        conversion = ConversionPart(settings, source, present, steps)
        conversion_name = None
        if conversion.has_impressions:
            made = run("train-conversion", [inputs, conversion.as_of], conversion.train, self._whole(CONVERSION))
            conversion_name = made["bundle"]
        run("evaluate", inputs, lambda: {"people": job.evaluate(folder, trained_at, present).people})
        evaluation = job.evaluate(folder, trained_at, present)
        plots = draw_evaluation(evaluation, taxonomy, job.folder / "plots")

        shipping = Shipping(settings, self.job_steps, steps, self.summary, present, source)
        registered = shipping.register(
            TAGS, bundle_name, lambda: register_tags(Registry(settings.mlruns), job, folder, bundle, evaluation)
        )
        if conversion_name is not None:
            path = conversion.folder(conversion_name)
            shipping.register(
                CONVERSION,
                conversion_name,
                lambda: register_conversion(conversion.job(), path, alias="challenger"),
            )
        promoted = shipping.decide(TAGS, bundle_name)
        if conversion_name is not None:
            shipping.decide(CONVERSION, conversion_name)
        shipping.fill(inputs, self.choices.kinds)

        report_on(job, bundle, evaluation, plots, present, registered=registered, serves=promoted)
        job.builder.forget_older()
        serving = champion_of(settings, TAGS)
        if serving is not None:
            forget_added(settings, [load_bundle(serving).layout])
        forget_bins(settings)
        self._end(next_commands(settings, bundle))
        steps.say(f"done in {time.perf_counter() - started:.0f} s; report: {settings.report_file}")

    def _snapshot(self, as_of: str) -> tuple[EventLog, int, int]:
        """Return log, present and version of its events: those of a run that was cut off, where they fit."""
        settings = self.settings
        log = EventLog.open(settings)
        path = self.folder / "unfinished.json"
        asked = [as_of, self.taxonomy.hash, code_version(), json.loads(json.dumps(asdict(self.choices)))]
        if path.exists():
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["asked"] == asked and time.time() < held["began"] + DAY_SECONDS and _readable(log, held["log"]):
                self.steps.reused("snapshot")
                return log, int(held["present"]), int(held["log"])
        if settings.inbox_file.exists():
            with Inbox(log) as inbox:
                moved = move(inbox, log)
            self.steps.say(f"moved {moved.events:,} live events into the log")
        present = present_of(log, as_of)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        version, began = log.version, int(time.time())
        said = {"asked": asked, "log": version, "present": present, "began": began}
        write_durably(path, canonical_json(said))
        return log, present, version

    def _shut(self, report: Report) -> None:
        for check in report.failed:
            self.steps.say(f"{check.name}: {check.said}")
        self.summary.code = Code.DATA_GATE_SHUT
        found = "; ".join(f"{check.name} ({check.said})" for check in report.failed)
        self.summary.said = f"the gate of data is shut: {found}"
        self.summary.next_steps = [
            "zhongcao check",
            "zhongcao retrain with --accept NAME --why TEXT if it is right",
        ]
        (self.folder / "unfinished.json").unlink(missing_ok=True)

    def _whole(self, kind: Kind) -> Any:
        def holds(result: dict[str, Any]) -> bool:
            name = result["bundle"]
            return name is None or intact(self.settings.bundles_dir / name, kind)

        return holds

    def _end(self, commands: list[str]) -> None:
        said = [f"{kind}: {verdict['reason']}" for kind, verdict in self.summary.verdicts.items()]
        self.summary.said = "; ".join(said)
        for line in said:
            self.steps.say(line)
        if self.summary.code == Code.NOT_PROMOTED:
            self.summary.next_steps = [
                f"zhongcao promote {self.summary.versions[kind]} --force --because TEXT, if you know better"
                for kind, verdict in self.summary.verdicts.items()
                if not verdict["promote"] and "serves already" not in verdict["reason"]
            ]
        self.summary.next_steps = self.summary.next_steps or commands
        self.steps.say("next:\n" + "\n".join(f"  {command}" for command in self.summary.next_steps))
        (self.folder / "unfinished.json").unlink(missing_ok=True)


def _readable(log: EventLog, version: int) -> bool:
    """Tell whether a version is still there: an erasure takes earlier ones away."""
    try:
        log.log_table(EVENTS.name).files(version)
    except EventLogError:
        return False
    return True


def _windows(job: TagJob) -> dict[str, Any]:
    choose, train, _ = job.fit_windows()
    return {"windows": len(choose) + len(train)}
