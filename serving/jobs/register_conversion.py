"""Records a trained conversion model in MLflow."""

from __future__ import annotations

import json
from pathlib import Path

from features.durable import write_durably
from training.code import code_version
from training.conversion.bundle import load_conversion_bundle
from training.conversion.job import ConversionJob
from training.registry import CONVERSION_MODEL, Registered, Registry


def register_conversion(job: ConversionJob, folder: Path, alias: str = "champion") -> Registered:
    """Log the run and point an alias at its model version; a run that was logged before is kept.

    Parameters
    ----------
    job, folder
        The run and its bundle.
    alias
        ``champion`` or ``challenger``.
    """
    registry = Registry(job.settings.mlruns, CONVERSION_MODEL)
    done = job.folder / "registered.json"
    if done.exists():
        known = Registered(**json.loads(done.read_text()))
        if registry.has(known):
            job.steps.reused("MLflow run")
            registry.set_alias(alias, known.model_version)
            return known
    bundle = load_conversion_bundle(folder)
    training = bundle.about["training"]
    metrics = {
        f"{target}_{name}": float(figure)
        for target, stage in training["stages"].items()
        for name, figure in stage.items()
        if isinstance(figure, int | float)
    }
    with job.steps.step("MLflow run", 1) as advance:
        registered = registry.log_run(
            name=bundle.version,
            params={
                "as_of": bundle.as_of,
                "choices": json.dumps(bundle.about["choices"]),
                "examples": training["examples"],
                "targets": ", ".join(bundle.model.targets),
            },
            metrics=metrics,
            tags={"data_version": bundle.about["data_version"], "code_version": code_version()},
            bundle=folder,
        )
        registry.set_alias(alias, registered.model_version)
        advance()
    job.folder.mkdir(parents=True, exist_ok=True)
    write_durably(done, json.dumps({"run_id": registered.run_id, "model_version": registered.model_version}))
    return registered
