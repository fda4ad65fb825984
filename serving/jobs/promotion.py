"""Compares bundles of a home, keeps the verdict, and promotes what may serve or what somebody answers for."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.durable import write_durably
from features.errors import BundleError, RegistryError
from features.settings import Settings
from training.bundles.champion import champion_path, promote
from training.bundles.manifest import CONVERSION, TAGS, Kind, canonical_json
from training.gates.promotion import Policy, Verdict
from training.gates.promotion_conversion import compare_conversion
from training.gates.promotion_tags import compare_tags
from training.registry import CONVERSION_MODEL, TAG_MODEL, Registered, Registry
from training.source import LogSource
from training.steps import Steps

_MODELS = {TAGS.name: TAG_MODEL, CONVERSION.name: CONVERSION_MODEL}


@dataclass(frozen=True)
class Forced:
    """Who answers for a promotion that the gate did not allow.

    Parameters
    ----------
    because
        Why, in words.
    at
        When, epoch seconds.
    """

    because: str
    at: int


def bundle_named(settings: Settings, run: str) -> tuple[Path, Kind]:
    """Return the bundle that a user means, and its kind.

    Parameters
    ----------
    settings
        Where the bundles and MLflow's runs lie.
    run
        A bundle of the home or its folder, a run id of MLflow, or ``tags:ALIAS`` and ``conversion:ALIAS``, where
        an alias is ``champion``, ``challenger`` or the number of a model version.

    Raises
    ------
    BundleError
        The home has no such bundle.
    """
    family, _, alias = run.rpartition(":")
    names = [Path(run).name]
    for kind in (TAGS, CONVERSION):
        if family == kind.name and alias == "champion":
            return champion_path(settings, kind), kind
        registry = _registry(settings, kind) if family in {"", kind.name} else None
        if registry is not None:
            names.append(registry.bundle_of(alias) or "")
    for name in names:
        for kind in (TAGS, CONVERSION):
            if name.startswith(f"{kind.name}-") and (settings.bundles_dir / name).is_dir():
                return settings.bundles_dir / name, kind
    known = sorted(path.name for path in settings.bundles_dir.glob("*-*"))
    raise BundleError("this home has no such bundle or run", value=run, valid=known)


def champion_of(settings: Settings, kind: Kind) -> Path | None:
    """Return the folder of the bundle that serves, None where none does."""
    try:
        return champion_path(settings, kind)
    except BundleError:
        return None


def policy_of(settings: Settings) -> Policy:
    """Return what a promotion needs in this home."""
    return Policy(promote_if=settings.promote_if, stale_days=settings.promote_stale_days)


def compared(
    settings: Settings, champion: Path | None, challenger: Path, kind: Kind, *, present: int, steps: Steps,
    version: int | None = None, source: LogSource | None = None,
) -> Verdict:  # fmt: skip
    """Compare two bundles of one kind, and keep the verdict in the home and, where there is a run, in MLflow.

    Parameters
    ----------
    settings
        Where everything lies.
    champion, challenger
        Folders of the bundles; without a champion a baseline stands in for it.
    kind
        What they hold.
    present
        What arrived later is not looked at, epoch seconds.
    steps
        Shows progress.
    version
        Of the log's events; the latest by default.
    source
        That version as tags are learned from it, where it is open already.
    """
    both, policy = (settings, champion, challenger), policy_of(settings)
    if kind is TAGS:
        verdict = compare_tags(*both, present=present, steps=steps, policy=policy, version=version, source=source)
    else:
        verdict = compare_conversion(*both, present=present, steps=steps, policy=policy, version=version)
    keep_verdict(settings, challenger.name, kind, verdict)
    return verdict


def keep_verdict(
    settings: Settings, challenger: str, kind: Kind, verdict: Verdict, forced: Forced | None = None
) -> Path:
    """Write a verdict where people and MLflow can read it.

    Returns
    -------
    Path
        The file in the home.
    """
    document: dict[str, Any] = verdict.as_dict()
    if forced is not None:
        document |= {"forced": {"because": forced.because, "at": forced.at}}
        document["reason"] += f"; promoted all the same, because {forced.because}"
    path = verdict_file(settings, challenger)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, canonical_json(document))
    found = registered(settings, challenger, kind)
    if found is None:
        return path
    registry, run = found
    figures = {**verdict.figures, **verdict.primary._asdict(), "promote": float(verdict.promote)}
    registry.log_verdict(run.run_id, path.stem, document, figures)
    return path


def verdict_file(settings: Settings, challenger: str) -> Path:
    """Return the file of the last verdict on a bundle."""
    return settings.work_dir / "verdicts" / f"{challenger}.json"


def read_verdict(settings: Settings, challenger: str) -> dict[str, Any] | None:
    """Return the last verdict on a bundle as JSON, None where it was never compared."""
    path = verdict_file(settings, challenger)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def promote_bundle(settings: Settings, challenger: Path, kind: Kind) -> None:
    """Make a bundle the champion, here and in MLflow."""
    promote(settings, challenger, kind=kind)
    found = registered(settings, challenger.name, kind)
    if found is not None:
        registry, run = found
        registry.set_alias("champion", run.model_version)


def _registry(settings: Settings, kind: Kind) -> Registry | None:
    """Return the registry, None where nothing was ever logged: it need not be made to find nothing in it."""
    known = (settings.mlruns / "mlflow.db").exists()
    return Registry(settings.mlruns, _MODELS[kind.name]) if known else None


def registered(settings: Settings, bundle: str, kind: Kind) -> tuple[Registry, Registered] | None:
    """Return the registry and the run of a bundle; None where it was never logged."""
    registry = _registry(settings, kind)
    try:
        return None if registry is None else (registry, registry.of_bundle(bundle))
    except RegistryError:
        return None


def forced_now(because: str) -> Forced:
    """Return who answers for a promotion from now on."""
    return Forced(because, int(time.time()))
