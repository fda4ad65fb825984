"""The manifest of a bundle: format, files and their SHA-256 hashes; no model is read here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from features.errors import BundleError

FORMAT: Final = "zhongcao.tags"
FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
TEXTS: Final = ("about.json", "layout.json", "taxonomy.json", "decision.json", "pooled.txt", "heads.json")
"""Files that every bundle has; arrays come beside them."""


def write_manifest(folder: Path) -> str:
    """Hash every file of the folder into a manifest and return the bundle's version."""
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "files": files}
    (folder / MANIFEST).write_text(canonical_json(manifest), encoding="utf-8")
    return bundle_version(folder)


def check_manifest(folder: Path) -> list[str]:
    """Check format and hashes of a bundle without reading any model, and return its files' names.

    Raises
    ------
    BundleError
        See `load_bundle`.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        kind, version, files = manifest["format"], manifest["format_version"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder.name} is no bundle: its {MANIFEST} is missing or unreadable",
            next_step="give the folder that `zhongcao train tags` wrote",
        ) from error
    if (kind, version) != (FORMAT, FORMAT_VERSION):
        raise BundleError(
            f"{folder.name} is a foreign bundle",
            value=f"{kind} {version}",
            valid=[f"{FORMAT} {FORMAT_VERSION}"],
            next_step="train again with this version of zhongcao",
        )
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    if found != set(files) or not set(TEXTS) <= found:
        odd = sorted(found ^ set(files)) or sorted(set(TEXTS) - found)
        raise BundleError(f"bundle {folder.name} has missing or unlisted files", value=odd[:5])
    for name, expected in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != expected:
            raise BundleError(
                f"bundle {folder.name} is corrupt: the hash of a file differs from the manifest",
                value=name,
                next_step="copy the bundle again or promote another",
            )
    return sorted(files)


def intact(folder: Path) -> bool:
    """Tell whether a folder is a bundle of this format whose files are as they were written."""
    try:
        check_manifest(folder)
    except BundleError:
        return False
    return True


def bundle_version(folder: Path) -> str:
    """Name a bundle after the hash of its manifest."""
    return f"tags-{_sha256(folder / MANIFEST)[:12]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """Write JSON with sorted keys, so that equal values are equal bytes; refuses NaN."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"
