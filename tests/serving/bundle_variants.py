"""Bundles made of another one: as good as it, under a name of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from training.bundles.manifest import MANIFEST, TAGS, Kind, write_golden, write_manifest
from training.tags.bundle import golden_rows, load_bundle


def variant(bundle: Path, change: Callable[[Path], None], kind: Kind = TAGS) -> Path:
    """Copy a bundle, change the copy, and give it the manifest and the name that it would have had."""
    work = bundle.with_name(".variant")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(bundle, work)
    change(work)
    target = bundle.with_name(sign(work, kind))
    if target.exists():
        shutil.rmtree(work)
    else:
        work.rename(target)
    return target


def sign(folder: Path, kind: Kind = TAGS) -> str:
    """Write the manifest anew, and return the name that belongs to it."""
    (folder / MANIFEST).unlink()
    return write_manifest(folder, kind)


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def another(bundle: Path, number: int) -> Path:
    """Return a bundle of tag models whose answers are a little higher, the more the number."""

    def higher(folder: Path) -> None:
        platt = json.loads((folder / "decision.json").read_text(encoding="utf-8"))["platt"]
        change_json(folder / "decision.json", platt=platt | {"intercept": platt["intercept"] + 0.01 * number})
        sign(folder)
        model = load_bundle(folder).model
        rows = golden_rows(model.layout)
        write_golden(folder, rows, model.predict(rows))

    return variant(bundle, higher)
