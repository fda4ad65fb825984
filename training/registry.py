"""MLflow: runs, metrics per tag, plots, bundles and the aliases ``champion`` and ``challenger``.

The only module that imports mlflow. Nothing that is logged names a person; models are logged as bundles, that is as
text, JSON and plain arrays, never through a flavour that pickles.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read by mlflow when it is imported
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from features.errors import RegistryError

TAG_MODEL: Final = "zhongcao-tags"
CONVERSION_MODEL: Final = "zhongcao-conversion"
_BATCH: Final = 900


@dataclass(frozen=True)
class Registered:
    """Where a run stands in the registry."""

    run_id: str
    model_version: str


class Registry:
    """The tracking store and model registry under ``mlruns/``.

    Parameters
    ----------
    folder
        The mlruns folder; its SQLite store and artifacts are made on first use.
    model
        Name of the registered model and of its experiment.
    """

    def __init__(self, folder: Path, model: str = TAG_MODEL) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._folder = folder.resolve()
        self._model = model
        self._folder.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{self._folder / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def log_run(
        self,
        *,
        name: str,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        bundle: Path,
        pictures: Path | None = None,
    ) -> Registered:
        """Record a finished training run and register its bundle as a new model version.

        Parameters
        ----------
        name
            Run name.
        params, metrics, tags
            Facts of the run; metrics that are not finite are left out.
        bundle
            Folder of the bundle, logged whole under ``bundle``.
        pictures
            Folder of plots, logged under ``plots``.
        """
        client = self._client
        run = client.create_run(self._experiment(), run_name=name)
        run_id: str = run.info.run_id
        finite = [Metric(key, value, 0, 0) for key, value in metrics.items() if math.isfinite(value)]
        for start in range(0, len(finite), _BATCH):
            client.log_batch(run_id, metrics=finite[start : start + _BATCH])
        client.log_batch(
            run_id,
            params=[Param(key, str(value)[:6000]) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        client.log_artifacts(run_id, str(bundle), "bundle")
        if pictures is not None:
            client.log_artifacts(run_id, str(pictures), "plots")
        client.set_terminated(run_id)
        source = f"{client.get_run(run_id).info.artifact_uri}/bundle"
        self._ensure_model()
        version = client.create_model_version(
            self._model,
            source=source,
            run_id=run_id,
            tags={"bundle": bundle.name},
            description=json.dumps(dict(tags)),
        )
        return Registered(run_id, str(version.version))

    def set_alias(self, alias: str, model_version: str) -> None:
        """Point an alias (``champion`` or ``challenger``) at a model version."""
        self._client.set_registered_model_alias(self._model, alias, model_version)

    def by_alias(self, alias: str) -> Registered:
        """Return the run and version that an alias points at.

        Raises
        ------
        RegistryError
            The alias is not set.
        """
        try:
            version = self._client.get_model_version_by_alias(self._model, alias)
        except MlflowException as error:
            raise RegistryError(
                "no model version has the alias", value=alias, next_step="run `zhongcao retrain` first"
            ) from error
        return Registered(str(version.run_id), str(version.version))

    def has(self, registered: Registered) -> bool:
        """Tell whether a model version is (still) in the registry."""
        try:
            version = self._client.get_model_version(self._model, registered.model_version)
        except MlflowException:
            return False
        return bool(version.run_id == registered.run_id)

    def of_bundle(self, bundle: str) -> Registered:
        """Return the run and the latest model version of a bundle.

        Raises
        ------
        RegistryError
            It was never registered here.
        """
        versions = [v for v in self._versions() if v.tags.get("bundle") == bundle]
        if not versions:
            raise RegistryError("no model version holds the bundle", value=bundle)
        latest = max(versions, key=lambda version: int(version.version))
        return Registered(str(latest.run_id), str(latest.version))

    def bundle_of(self, run: str) -> str | None:
        """Return the name of the bundle of a run id, an alias or a version's number; None where there is none."""
        for version in self._versions():
            if run == version.run_id or run == str(version.version):
                return _bundle(version)
        try:
            found = self._client.get_model_version_by_alias(self._model, run)
        except MlflowException:
            return None
        return _bundle(found)

    def log_verdict(self, run_id: str, name: str, verdict: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Add what a comparison came to, to a challenger's run.

        Parameters
        ----------
        run_id
            Of the challenger.
        name
            Of the file under ``verdicts``.
        verdict
            As JSON takes it; its reason becomes the run's tag ``gate``.
        metrics
            Figures of it, logged under ``gate.``; those that are not finite are left out.
        """
        client = self._client
        finite = [Metric(f"gate.{key}", value, 0, 0) for key, value in metrics.items() if math.isfinite(value)]
        tags = [RunTag("gate", str(verdict["reason"])[:5000]), RunTag("promote", str(verdict["promote"]).lower())]
        client.log_batch(run_id, metrics=finite, tags=tags)
        client.log_dict(run_id, dict(verdict), f"verdicts/{name}.json")

    def log_shadow(self, run_id: str, name: str, seen: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Add what a challenger saw as a shadow to its run.

        Parameters
        ----------
        run_id
            Of the challenger.
        name
            Of the file under ``shadow``.
        seen
            As JSON takes it.
        metrics
            Figures of it, logged under ``shadow.``; those that are not finite are left out.
        """
        finite = [Metric(f"shadow.{key}", value, 0, 0) for key, value in metrics.items() if math.isfinite(value)]
        for start in range(0, len(finite), _BATCH):
            self._client.log_batch(run_id, metrics=finite[start : start + _BATCH])
        self._client.log_dict(run_id, dict(seen), f"shadow/{name}.json")

    def _versions(self) -> list[ModelVersion]:
        return list(self._client.search_model_versions(f"name='{self._model}'", max_results=10_000))

    def metrics(self, run_id: str) -> dict[str, float]:
        """Return the metrics of a run."""
        return dict(self._client.get_run(run_id).data.metrics)

    def _experiment(self) -> str:
        # MLflow keeps an experiment's artifact folder as an absolute path for ever. After the checkout was moved,
        # the old experiment stays readable and new runs go to one of their own, with its artifacts here.
        location = str(self._folder / "artifacts")
        here = hashlib.sha256(location.encode()).hexdigest()[:8]
        for name in (self._model, f"{self._model}-{here}"):
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return str(self._client.create_experiment(name, artifact_location=location))
            if str(found.artifact_location).removeprefix("file://") == location:
                return str(found.experiment_id)
        raise RegistryError("the registry has no experiment for this folder", value=location)

    def _ensure_model(self) -> None:
        if not self._client.search_registered_models(filter_string=f"name='{self._model}'"):
            self._client.create_registered_model(self._model)


def _bundle(version: ModelVersion) -> str | None:
    name: str | None = version.tags.get("bundle")
    return name
