"""From a trained bundle to what serves: registered, compared, promoted if it may be, and the stores filled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from features.settings import Settings
from serving.champions.running_servers import await_servers
from serving.histories.fill import fill_histories
from serving.jobs.gates import verdict_of
from serving.jobs.job_steps import JobSteps
from serving.jobs.outcome import Code, Summary
from serving.jobs.promotion import champion_of, promote_bundle
from serving.online.backfill import backfill
from training.bundles.manifest import CONVERSION, TAGS, Kind
from training.registry import CONVERSION_MODEL, TAG_MODEL, Registered, Registry
from training.source import LogSource
from training.steps import Steps
from training.tags.bundle import load_bundle

_MODELS: Final = {TAGS.name: TAG_MODEL, CONVERSION.name: CONVERSION_MODEL}


@dataclass
class Shipping:
    """The last steps of a run.

    Parameters
    ----------
    settings
        Where everything lies.
    job_steps
        Keeps the checkpoints.
    steps
        Shows progress.
    summary
        Is told versions, verdicts and the exit code.
    present
        Of the run, epoch seconds.
    source
        The log that the run began with.
    """

    settings: Settings
    job_steps: JobSteps
    steps: Steps
    summary: Summary
    present: int
    source: LogSource

    def register(self, kind: Kind, bundle: str, make: Callable[[], Registered]) -> Registered:
        """Note a bundle in MLflow, once."""
        registry = Registry(self.settings.mlruns, _MODELS[kind.name])
        self.summary.versions[kind.name] = bundle
        found = self.job_steps.run(
            f"register-{kind.name}",
            bundle,
            lambda: asdict(make()),
            lambda held: registry.has(Registered(**held)),
        )
        return Registered(**found)

    def decide(self, kind: Kind, name: str) -> bool:
        """Compare a challenger with the champion, promote it if it may, and return whether it serves."""
        settings, folder = self.settings, self.settings.bundles_dir / name
        champion = champion_of(settings, kind)
        if champion is not None and champion.name == name:
            # A run that was cut off between the pointer and the alias left that to do.
            registry = Registry(settings.mlruns, _MODELS[kind.name])
            registry.set_alias("champion", registry.of_bundle(name).model_version)
            self.summary.verdicts[kind.name] = {"promote": False, "reason": f"{name} serves already"}
            return True
        before = None if champion is None else champion.name
        verdict = self.job_steps.run(
            f"compare-{kind.name}",
            [name, before, self.present],
            lambda: verdict_of(settings, folder, kind, present=self.present, source=self.source, steps=self.steps),
        )
        self.summary.verdicts[kind.name] = verdict
        if not verdict["promote"]:
            registry = Registry(settings.mlruns, _MODELS[kind.name])
            registry.set_alias("challenger", registry.of_bundle(name).model_version)
            self.summary.code = Code.NOT_PROMOTED
            return False

        def promote() -> dict[str, Any]:
            promote_bundle(settings, folder, kind)
            return {"bundle": name}

        self.job_steps.run(f"promote-{kind.name}", [name, before], promote, lambda _: False)
        return True

    def fill(self, inputs: object, kinds: tuple[str, ...] | None) -> None:
        """Fill the stores for what serves now, whether that is new or not."""
        settings, steps = self.settings, self.steps
        tags, conversion = champion_of(settings, TAGS), champion_of(settings, CONVERSION)
        if tags is not None:
            # A server that has the new bundle ready hands over with the first request that finds the new rows.
            with steps.step("running servers", 1) as advance:
                servers = await_servers(settings, TAGS, tags.name)
                advance()
            for server in servers:
                steps.say(server)
            bundle = load_bundle(tags)

            def rows() -> dict[str, Any]:
                info = backfill(settings, bundle, self.present, steps, kinds)
                return {"people": info.people}

            # Never reused: a server may have fed live events to the store since, or another fill replaced it.
            self.job_steps.run("fill-tags", [inputs, tags.name], rows, lambda _: False)
        if conversion is not None:
            at = datetime.fromtimestamp(self.present, UTC).isoformat()

            def histories() -> dict[str, Any]:
                return {"people": fill_histories(settings, at, int(time.time()), steps).people}

            self.job_steps.run("fill-histories", [inputs, conversion.name], histories, lambda _: False)
