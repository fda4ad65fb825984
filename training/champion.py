"""The champions: which bundle of each kind serves, and the checks that a bundle passes before it may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from features.durable import write_durably
from features.errors import BundleError
from features.settings import Settings
from training.manifest import CONVERSION, TAGS, Kind, canonical_json, check_manifest

_VERIFY_SECONDS: Final = 120


def verify_bundle(folder: Path, kind: Kind = TAGS) -> None:
    """Check the hashes, then load the bundle and score its golden rows in a throw-away child process.

    Raises
    ------
    BundleError
        The bundle is corrupt or foreign, crashes the child, or scores its golden rows differently.
    """
    with checker(kind) as check:
        check(folder)


@contextmanager
def checker(kind: Kind = TAGS) -> Iterator[Callable[[Path], None]]:
    """Start the child process of `verify_bundle`, which gets ready while the bundle is still being made.

    Yields
    ------
    Callable
        Checks one bundle, once.
    """
    # -P: whatever lies in the working folder is not imported.
    command = [sys.executable, "-P", "-m", "training.verify", kind.name]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )

    def check(folder: Path) -> None:
        check_manifest(folder, kind)
        try:
            _, said = child.communicate(str(folder.resolve()), timeout=_VERIFY_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BundleError(
                f"bundle {folder.name} did not score its golden rows in {_VERIFY_SECONDS} s"
            ) from error
        if child.returncode != 0:
            last = (said.strip().splitlines() or [f"the child process died with code {child.returncode}"])[-1]
            raise BundleError(
                f"bundle {folder.name} is refused: {last}", next_step="the champion stays; train or copy it again"
            )

    with child:
        try:
            yield check
        finally:
            child.kill()


def promote(
    settings: Settings, folder: Path, check: Callable[[Path], None] | None = None, *, kind: Kind = TAGS
) -> None:
    """Make a verified bundle the champion, by an atomically replaced pointer.

    Parameters
    ----------
    settings
        Where the bundles lie.
    folder
        The bundle.
    check
        From a `checker` that was started before; a new one by default.
    kind
        What the bundle holds; each kind has a champion of its own.

    Raises
    ------
    BundleError
        The bundle is refused or lies elsewhere than the home's bundles; the champion stays.
    """
    if folder.resolve().parent != settings.bundles_dir.resolve():
        raise BundleError(
            "only a bundle of this home can be its champion",
            value=str(folder),
            next_step=f"copy it into {settings.bundles_dir} first",
        )
    if check is None:
        verify_bundle(folder, kind)
    else:
        check(folder)
    write_durably(_pointer(settings, kind), canonical_json({"bundle": folder.name}))


def champion_path(settings: Settings, kind: Kind = TAGS) -> Path:
    """Return the folder of the bundle that serves.

    Raises
    ------
    BundleError
        Nothing was promoted yet, or the pointer leads outside the bundles' folder.
    """
    try:
        name = json.loads(_pointer(settings, kind).read_text(encoding="utf-8"))["bundle"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        verb = "train conversion" if kind is CONVERSION else "retrain"
        raise BundleError("there is no champion yet", next_step=f"run `zhongcao {verb}` first") from error
    folder = settings.bundles_dir / str(name)
    if folder.resolve().parent != settings.bundles_dir.resolve() or not folder.is_dir():
        raise BundleError("the champion pointer names no bundle", value=name, next_step="promote another")
    return folder


def _pointer(settings: Settings, kind: Kind) -> Path:
    return settings.conversion_champion_file if kind is CONVERSION else settings.champion_file
