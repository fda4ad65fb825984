"""Bundles of conversion models: text, JSON and plain arrays behind SHA-256 hashes, like those of tag models."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError, FeatureError
from features.impressions.tag_scores import ScoredTags
from training.bundles.manifest import (
    CONVERSION,
    TAGS,
    bundle_version,
    canonical_json,
    check_golden,
    check_manifest,
    publish_bundle,
    write_golden,
)
from training.conversion.model import ConversionModel, Stage
from training.saved_booster import booster_text
from training.tags import bundle as tag_bundles

_GOLDEN_ROWS: Final = 16


@dataclass(frozen=True)
class ConversionBundle:
    """A loaded bundle.

    Parameters
    ----------
    version
        Derived from the manifest's hash.
    as_of
        Instant of the model's knowledge, epoch seconds.
    model
        The conversion model.
    about
        Data version, code version, settings, training log, as written by training.
    tags
        The tags whose scores the model reads; None where it reads none.
    """

    version: str
    as_of: int
    model: ConversionModel
    about: dict[str, Any]
    tags: ScoredTags | None = None

    @property
    def tags_bundle(self) -> str:
        """Version of the tag models whose scores the model reads, empty where it reads none."""
        return str(self.about.get("tags_bundle") or "")


def write_conversion_bundle(
    model: ConversionModel, about: dict[str, Any], as_of: int, parent: Path, tags: Path | None = None
) -> Path:
    """Write a bundle under `parent`, atomically, in a folder named after its version.

    Parameters
    ----------
    model
        What to write.
    about
        JSON-able facts about its making; no clock time and no path, or the bytes would differ from run to run.
    as_of
        Instant of the model's knowledge.
    parent
        Folder of the bundles.
    tags
        Folder of the tag models whose scores the model reads: a copy of it becomes part of the bundle, so that
        whoever has the one has the other.
    """
    return publish_bundle(parent, CONVERSION, lambda folder: _write(model, {**about, "as_of": as_of}, folder, tags))


def _write(model: ConversionModel, about: dict[str, Any], folder: Path, tags: Path | None) -> None:
    stages = {
        "features": list(model.features),
        "windows": {target: model.windows[target] for target in model.targets},
        "stages": [stage.to_dict() for stage in model.stages],
    }
    texts = {
        "about.json": canonical_json(about),
        "stages.json": canonical_json(stages),
        "boosters.json": canonical_json([booster_text(booster) for booster in model.boosters]),
    }
    if tags is not None:
        shutil.copytree(tags, folder / TAGS.name)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    rows = golden_rows(len(model.features))
    write_golden(folder, rows, model.predict(rows))


def golden_rows(columns: int) -> NDArray[np.float32]:
    """Make synthetic rows, of nobody, that exercise zeros, missing values, small counts and large sums."""
    rng = np.random.default_rng(20170101)
    rows = np.floor(np.exp(rng.normal(0.5, 2.0, (_GOLDEN_ROWS, columns)))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.4] = 0.0
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def load_conversion_bundle(folder: Path) -> ConversionBundle:
    """Load a bundle after its hashes are checked.

    As with tag models, a bundle whose maker is not this installation goes through
    `training.bundles.champion.verify_bundle` first.

    Raises
    ------
    BundleError
        The folder is no bundle of this format, or a file is missing, unlisted or changed.
    """
    check_manifest(folder, CONVERSION)
    try:
        about, stages, boosters = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in CONVERSION.texts
        )
        model = ConversionModel(
            features=tuple(stages["features"]),
            stages=tuple(Stage.from_dict(stage) for stage in stages["stages"]),
            boosters=tuple(lgb.Booster(model_str=text) for text in boosters),
            windows={target: int(length) for target, length in stages["windows"].items()},
        )
        tags = ScoredTags.of_dict(about["scored_tags"]) if about.get("tags_bundle") else None
        found = ConversionBundle(bundle_version(folder, CONVERSION), int(about["as_of"]), model, about, tags)
    except (KeyError, TypeError, ValueError, lgb.basic.LightGBMError, FeatureError) as error:
        raise BundleError(
            f"bundle {folder.name} was written by another version of zhongcao: {type(error).__name__}: {error}",
            next_step="train again with this version",
        ) from error
    inside = tags_inside(folder)
    if found.tags_bundle != ("" if inside is None else bundle_version(inside)):
        raise BundleError(
            f"bundle {folder.name} holds other tag models than it was trained with",
            valid=[found.tags_bundle or "none"],
            next_step="train again",
        )
    return found


def tags_inside(folder: Path) -> Path | None:
    """Return the folder of the tag models whose scores the model of a bundle reads; None where it reads none."""
    inside = folder / TAGS.name
    return inside if inside.is_dir() else None


def score_golden_rows(folder: Path) -> None:
    """Load a bundle and compare its golden rows' probabilities, by LightGBM, with the recorded ones.

    Those of the tag models inside are compared, too.

    Raises
    ------
    BundleError
        They differ by more than 1e-9, or are none.
    """
    model = load_conversion_bundle(folder).model

    def predict(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        got = model.predict(rows, compact=False)
        tag_bundles.check_probabilities(folder, got)
        return got

    check_golden(folder, predict)
    inside = tags_inside(folder)
    if inside is not None:
        tag_bundles.score_golden_rows(inside)
