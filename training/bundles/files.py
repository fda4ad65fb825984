"""What a bundle must be like before anything of it is read: plain files of bearable size, none from outside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.errors import BundleError
from training.bundles.manifest import MANIFEST, TAGS, Kind, bundle_version

_MEGABYTE: Final = 1 << 20
_MOST_FILES: Final = 1_000


@dataclass(frozen=True)
class SizeLimits:
    """How large a bundle may be; hashing or reading a larger one would stop a server for minutes.

    Parameters
    ----------
    manifest, file, bundle
        Bytes of the manifest, of any other file, and of all of them.
    """

    manifest: int = _MEGABYTE
    file: int = 1024 * _MEGABYTE
    bundle: int = 2048 * _MEGABYTE


def check_files(folder: Path, kind: Kind = TAGS, limits: SizeLimits | None = None) -> None:
    """Look at the files of a bundle without opening any.

    Raises
    ------
    BundleError
        The folder cannot be listed, something in it is no plain file, or it is too large.
    """
    limits, total = limits or SizeLimits(), 0
    try:
        for number, (name, entry) in enumerate(_entries(folder, kind)):
            if number == _MOST_FILES:
                raise BundleError(f"bundle {folder.name} is refused: it has more than {_MOST_FILES:,} files")
            # A link could lead anywhere, and whoever opens a pipe waits for ever.
            if not stat.S_ISREG(entry.st_mode):
                raise BundleError(f"bundle {folder.name} is refused: not a plain file", value=name)
            most = limits.manifest if Path(name).name == MANIFEST else limits.file
            total += entry.st_size
            if entry.st_size > most or total > limits.bundle:
                size = f"{name}, {entry.st_size:,} bytes"
                raise BundleError(f"bundle {folder.name} is refused: too large", value=size)
    except OSError as error:
        raise BundleError(f"bundle {folder.name} is refused: it cannot be read: {error.strerror}") from error


def check_name(folder: Path, kind: Kind = TAGS) -> None:
    """Make sure that a bundle is the one that its folder was named after.

    Raises
    ------
    BundleError
        Its manifest is another.
    """
    found = bundle_version(folder, kind)
    if folder.name != found:
        raise BundleError(
            f"bundle {folder.name} is refused: its {MANIFEST} is not the one that it was named after",
            value=found,
            next_step="copy the bundle again or promote another",
        )


def _entries(folder: Path, kind: Kind, within: str = "") -> Iterator[tuple[str, os.stat_result]]:
    inside = kind.inside
    with os.scandir(folder) as entries:
        for entry in entries:
            if inside is not None and entry.name == inside.name and entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path), inside, f"{entry.name}/")
            else:
                yield within + entry.name, entry.stat(follow_symlinks=False)
