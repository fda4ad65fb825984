"""Bundles made of another one: as good as it, under a name of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from training.manifest import MANIFEST, TAGS, Kind, write_manifest


def variant(bundle: Path, change: Callable[[Path], None], kind: Kind = TAGS) -> Path:
    """Copy a bundle, change the copy, and give it the manifest and the name that it would have had."""
    work = bundle.with_name(".variant")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(bundle, work)
    change(work)
    (work / MANIFEST).unlink()
    target = bundle.with_name(write_manifest(work, kind))
    if target.exists():
        shutil.rmtree(work)
    else:
        work.rename(target)
    return target


def another(bundle: Path, number: int, kind: Kind = TAGS) -> Path:
    """Return a bundle that answers the same, with another name."""

    def renamed(folder: Path) -> None:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        (folder / "about.json").write_text(json.dumps(about | {"number": number}), encoding="utf-8")

    return variant(bundle, renamed, kind)
