"""The manifest of a bundle: format, files and their SHA-256 hashes; no model is read here."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.durable import publish
from features.errors import BundleError

MANIFEST: Final = "manifest.json"
_GOLDEN_TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Kind:
    """What a bundle holds.

    Parameters
    ----------
    name
        In its version and in the verb that trains it.
    texts
        Files that every bundle of the kind has; arrays come beside them.
    format_version
        Raised when a bundle of before cannot be read any more.
    inside
        Kind of the bundle that one of this kind may hold a copy of, in a folder of the kind's name.
    """

    name: str
    texts: tuple[str, ...]
    format_version: int = 1
    inside: Kind | None = None

    @property
    def format(self) -> str:
        """The format's name in a manifest."""
        return f"zhongcao.{self.name}"


TAGS: Final = Kind(
    "tags", ("about.json", "layout.json", "taxonomy.json", "decision.json", "pooled.txt", "heads.json")
)
CONVERSION: Final = Kind("conversion", ("about.json", "stages.json", "boosters.json"), inside=TAGS)


def publish_bundle(parent: Path, kind: Kind, write: Callable[[Path], None]) -> Path:
    """Write a bundle under `parent`, atomically, in a folder named after its version.

    Parameters
    ----------
    parent
        Folder of the bundles.
    kind
        What the bundle holds.
    write
        Writes its files, but for the manifest, into the folder that it is given.

    Returns
    -------
    Path
        The bundle's folder; one that was there already, and is whole, is left as it is.
    """
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
    try:
        write(work)
        target = parent / write_manifest(work, kind)
        if target.exists():
            if intact(target, kind):
                return target
            shutil.rmtree(target)
        work.chmod(0o755)
        publish(work, target)
        return target
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_manifest(folder: Path, kind: Kind = TAGS) -> str:
    """Hash every file of the folder into a manifest and return the bundle's version."""
    files = {name: _sha256(folder / name) for name in _names(folder, kind)}
    manifest = {"format": kind.format, "format_version": kind.format_version, "files": files}
    (folder / MANIFEST).write_text(canonical_json(manifest), encoding="utf-8")
    return bundle_version(folder, kind)


def check_manifest(folder: Path, kind: Kind = TAGS) -> list[str]:
    """Check format and hashes of a bundle without reading any model, and return its files' names.

    A bundle inside stands for its manifest, which names its files and is checked likewise.

    Raises
    ------
    BundleError
        The folder is no bundle of this kind and format, or a file is missing, unlisted or changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found_format, version, files = manifest["format"], manifest["format_version"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder.name} is no bundle: its {MANIFEST} is missing or unreadable",
            next_step=f"give the folder that `zhongcao train {kind.name}` wrote",
        ) from error
    if (found_format, version) != (kind.format, kind.format_version):
        raise BundleError(
            f"{folder.name} is a foreign bundle",
            value=f"{found_format} {version}",
            valid=[f"{kind.format} {kind.format_version}"],
            next_step="train again with this version of zhongcao",
        )
    found = set(_names(folder, kind)) - {MANIFEST}
    if found != set(files) or not set(kind.texts) <= found:
        odd = sorted(found ^ set(files)) or sorted(set(kind.texts) - found)
        raise BundleError(f"bundle {folder.name} has missing or unlisted files", value=odd[:5])
    for name, expected in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != expected:
            raise BundleError(
                f"bundle {folder.name} is corrupt: the hash of a file differs from the manifest",
                value=name,
                next_step="copy the bundle again or promote another",
            )
    if kind.inside is not None and (folder / kind.inside.name).is_dir():
        check_manifest(folder / kind.inside.name, kind.inside)
    return sorted(files)


def intact(folder: Path, kind: Kind = TAGS) -> bool:
    """Tell whether a folder is a bundle of this kind and format whose files are as they were written."""
    try:
        check_manifest(folder, kind)
    except BundleError:
        return False
    return True


def _names(folder: Path, kind: Kind) -> list[str]:
    inside = None if kind.inside is None else kind.inside.name
    names = sorted(path.name for path in folder.iterdir())
    return [f"{name}/{MANIFEST}" if name == inside else name for name in names]


def bundle_version(folder: Path, kind: Kind = TAGS) -> str:
    """Name a bundle after the hash of its manifest."""
    return f"{kind.name}-{_sha256(folder / MANIFEST)[:12]}"


def write_golden(folder: Path, rows: NDArray[np.float32], probabilities: NDArray[np.float64]) -> None:
    """Record what the model says of some synthetic rows."""
    np.save(folder / "golden_rows.npy", rows, allow_pickle=False)
    np.save(folder / "golden_probabilities.npy", probabilities, allow_pickle=False)


def check_golden(folder: Path, predict: Callable[[NDArray[np.float32]], NDArray[np.float64]]) -> None:
    """Compare the golden rows' probabilities with the recorded ones.

    They were recorded by the compact scorer; who checks computes them by LightGBM, so that both must agree.

    Raises
    ------
    BundleError
        They differ by more than 1e-9.
    """
    rows = np.load(folder / "golden_rows.npy", allow_pickle=False)
    expected = np.load(folder / "golden_probabilities.npy", allow_pickle=False)
    got = predict(rows)
    if got.shape != expected.shape or not np.allclose(
        got, expected, rtol=0, atol=_GOLDEN_TOLERANCE, equal_nan=True
    ):
        raise BundleError(f"bundle {folder.name} scores its golden rows differently from when it was written")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """Write JSON with sorted keys, so that equal values are equal bytes; refuses NaN."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"
