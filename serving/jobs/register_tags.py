"""Records a trained tag model in MLflow."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from features.durable import write_durably
from training.code import code_version
from training.registry import Registered, Registry
from training.tags.bundle import Bundle
from training.tags.evaluation import Evaluation
from training.tags.job import TagJob


def register_tags(
    registry: Registry, job: TagJob, folder: Path, bundle: Bundle, evaluation: Evaluation
) -> Registered:
    """Log the run; one that was logged before is kept.

    Parameters
    ----------
    registry
        Of tag models.
    job, folder, bundle
        The run and its bundle.
    evaluation
        On the later window.
    """
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
