"""Bundles: everything a scorer needs in one folder of text, JSON and plain arrays, behind SHA-256 hashes.

Nothing in a bundle depends on when or where it was written: the same seed, data version and code give the same
bytes, and the version is the hash of the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError, FeatureError, TaxonomyError
from features.rows.fitted import BASIS, Affinities
from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy
from training.bundles.manifest import (
    TAGS,
    bundle_version,
    canonical_json,
    check_golden,
    check_manifest,
    publish_bundle,
    write_golden,
)
from training.quality.calibration import Platt
from training.saved_booster import AnyBooster, SavedBooster, booster_text
from training.tags.model import TagModel
from training.tags.outlook import Outlook
from training.tags.pairs import Fitted

_GOLDEN_ROWS: Final = 16


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    version
        Derived from the manifest's hash.
    as_of
        Instant of the model's knowledge, epoch seconds.
    model
        The tag model.
    about
        Data version, code version, settings, training log and metrics, as written by training.
    """

    version: str
    as_of: int
    model: TagModel
    about: dict[str, Any]

    @property
    def layout(self) -> RowLayout:
        """Columns of the wide rows that the model reads."""
        return self.model.layout

    @property
    def taxonomy(self) -> Taxonomy:
        """The tags."""
        return self.model.taxonomy


def golden_rows(layout: RowLayout) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Make synthetic rows, of nobody, that exercise zeros, missing values, small counts and large sums."""
    rng = np.random.default_rng(20170101)
    rows = np.floor(np.exp(rng.normal(1.0, 2.0, (_GOLDEN_ROWS, layout.width)))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.4] = 0.0
    bought = layout.scope(rows)[..., layout.scope_names.index(BASIS)].copy()
    rows[rng.random(rows.shape) < 0.1] = np.nan
    # Never missing in people's rows; one missing value would make the affinities to every scope missing.
    layout.scope(rows)[..., layout.scope_names.index(BASIS)] = bought
    return rows


def write_bundle(model: TagModel, about: dict[str, Any], as_of: int, parent: Path) -> Path:
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

    Returns
    -------
    Path
        The bundle's folder; one that was there already, and is whole, is left as it is.
    """
    return publish_bundle(parent, TAGS, lambda folder: _write_files(model, {**about, "as_of": as_of}, folder))


def _write_files(model: TagModel, about: dict[str, Any], folder: Path) -> None:
    decision = {
        "negative_share": model.negative_share,
        "platt": {"slope": model.platt.slope, "intercept": model.platt.intercept},
        "levels": model.levels.tolist(),
        "head_share": model.head_share.tolist(),
        "active": model.active.tolist(),
        "assign_at": model.assign_at.tolist(),
        "pair_features": list(model.view.names),
    }
    heads = {str(tag): booster_text(booster) for tag, booster in sorted(model.heads.items())}
    texts = {
        "about.json": canonical_json(about),
        "layout.json": canonical_json(model.layout.to_dict()),
        "taxonomy.json": canonical_json(model.taxonomy.to_dict()),
        "decision.json": canonical_json(decision),
        "pooled.txt": booster_text(model.pooled),
        "heads.json": canonical_json(heads),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, array in model.fitted.affinities.to_arrays().items():
        np.save(folder / f"affinity_{name}.npy", array, allow_pickle=False)
    np.save(folder / "statics.npy", model.fitted.statics, allow_pickle=False)
    np.save(folder / "outlook_shared.npy", model.fitted.outlook.shared, allow_pickle=False)
    np.save(folder / "outlook_own.npy", model.fitted.outlook.own, allow_pickle=False)
    rows = golden_rows(model.layout)
    write_golden(folder, rows, model.predict(rows))


def load_bundle(folder: Path, *, saved: bool = False) -> Bundle:
    """Load a bundle after its hashes are checked.

    The text parser of LightGBM can crash the process on a broken model, so a bundle whose maker is not this
    installation goes through `training.bundles.champion.verify_bundle` first.

    Parameters
    ----------
    folder
        The bundle.
    saved
        Whether LightGBM reads a booster only when it has to predict: for whoever changes a few of many.

    Raises
    ------
    BundleError
        The folder is no bundle of this format, or a file is missing, unlisted or changed.
    """
    names = check_manifest(folder)
    try:
        return _read(folder, names, SavedBooster if saved else _booster)
    except (KeyError, TypeError, ValueError, lgb.basic.LightGBMError, FeatureError, TaxonomyError) as error:
        raise BundleError(
            f"bundle {folder.name} was written by another version of zhongcao: {type(error).__name__}: {error}",
            next_step="train again with this version",
        ) from error


def _booster(text: str) -> lgb.Booster:
    return lgb.Booster(model_str=text)


def _read(folder: Path, names: list[str], booster: Callable[[str], AnyBooster]) -> Bundle:
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in TAGS.texts}
    about = json.loads(texts["about.json"])
    decision = json.loads(texts["decision.json"])
    arrays = {name: np.load(folder / name, allow_pickle=False) for name in names if name.endswith(".npy")}
    prefix = "affinity_"
    affinities = Affinities.from_arrays(
        {name[len(prefix) : -4]: array for name, array in arrays.items() if name.startswith(prefix)}
    )
    model = TagModel(
        layout=RowLayout.from_dict(json.loads(texts["layout.json"])),
        taxonomy=Taxonomy.from_dict(json.loads(texts["taxonomy.json"])),
        pooled=booster(texts["pooled.txt"]),
        negative_share=float(decision["negative_share"]),
        heads={int(tag): booster(text) for tag, text in json.loads(texts["heads.json"]).items()},
        head_share=np.array(decision["head_share"], dtype=np.float64),
        platt=Platt(**decision["platt"]),
        levels=np.array(decision["levels"], dtype=np.float64),
        active=np.array(decision["active"], dtype=bool),
        assign_at=np.array(decision["assign_at"], dtype=np.float64),
        fitted=Fitted(
            affinities, arrays["statics.npy"], Outlook(arrays["outlook_shared.npy"], arrays["outlook_own.npy"])
        ),
    )
    if tuple(decision["pair_features"]) != model.view.names:
        raise ValueError("its pairs have other features than this code computes")
    return Bundle(bundle_version(folder), int(about["as_of"]), model, about)


def score_golden_rows(folder: Path) -> None:
    """Load a bundle and compare its golden rows' probabilities with the recorded ones.

    Raises
    ------
    BundleError
        They differ by more than 1e-9, or are none.
    """
    model = load_bundle(folder).model

    def predict(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        got = model.predict(rows, compact=False)
        check_probabilities(folder, got[:, model.active])
        return got

    check_golden(folder, predict)


def check_probabilities(folder: Path, found: NDArray[np.float64]) -> None:
    """Refuse what a model says where it is no probability, though it was recorded like that.

    Raises
    ------
    BundleError
        A number is missing, or lies outside 0 to 1.
    """
    if not ((found >= 0) & (found <= 1)).all():
        raise BundleError(f"bundle {folder.name} scores its golden rows with what is no probability")
