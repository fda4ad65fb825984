"""The champions: which bundle of each kind serves, and the checks that a bundle passes before it may."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from features.errors import BundleError
from features.settings import Settings
from training.bundles.files import check_files, check_name
from training.bundles.manifest import TAGS, Kind, check_manifest
from training.bundles.pointer import Promotion, move_pointer, pointed_name, promotions, served_before

_VERIFY_SECONDS: Final = 120.0


def verify_bundle(folder: Path, kind: Kind = TAGS, seconds: float = _VERIFY_SECONDS) -> None:
    """Check files and hashes, then load the bundle and score its golden rows in a throw-away child process.

    Parameters
    ----------
    folder, kind
        The bundle.
    seconds
        How long the child process may take.

    Raises
    ------
    BundleError
        The bundle is corrupt or foreign, crashes the child, or scores its golden rows differently.
    """
    with checker(kind, seconds) as check:
        check(folder)


def verify_named(folder: Path, kind: Kind = TAGS, seconds: float = _VERIFY_SECONDS) -> None:
    """Make the checks of `verify_bundle`, and that the bundle is the one that its folder was named after."""
    with checker(kind, seconds) as check:
        check_whole(folder, kind)
        check_name(folder, kind)
        check(folder)


def check_whole(folder: Path, kind: Kind = TAGS) -> None:
    """Check sizes and hashes of a bundle, and that nothing in it leads elsewhere; no model is read.

    Raises
    ------
    BundleError
        The bundle is corrupt, foreign or too large.
    """
    check_files(folder, kind)
    try:
        check_manifest(folder, kind)
    except (OSError, RecursionError) as error:
        raise BundleError(f"bundle {folder.name} is refused: {type(error).__name__} while it was read") from error


@contextmanager
def checker(kind: Kind = TAGS, seconds: float = _VERIFY_SECONDS) -> Iterator[Callable[[Path], None]]:
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
        check_whole(folder, kind)
        try:
            _, said = child.communicate(str(folder.resolve()), timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise BundleError(
                f"bundle {folder.name} is refused: it did not score its golden rows in {seconds:g} s"
            ) from error
        if child.returncode != 0:
            last = (said.strip().splitlines() or [f"the child process died with code {child.returncode}"])[-1]
            last = last.replace(str(folder.resolve()), folder.name)
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
    move_pointer(settings, kind, Promotion(folder.name, int(time.time()), by=_user()))


def champion_path(settings: Settings, kind: Kind = TAGS) -> Path:
    """Return the folder of the bundle that serves.

    Raises
    ------
    BundleError
        Nothing was promoted yet, or the pointer leads outside the bundles' folder.
    """
    name = pointed_name(settings, kind)
    folder = _contained(settings, name)
    if folder is None:
        raise BundleError("the champion pointer names no bundle", value=name, next_step="promote another")
    return folder


def roll_back(
    settings: Settings, kind: Kind = TAGS, check: Callable[[Path], None] | None = None
) -> tuple[str, str]:
    """Make the bundle that served before the champion again.

    Parameters
    ----------
    settings, kind
        Which pointer.
    check
        Raises where the bundle cannot serve, beside its hashes; a server that loads it makes all checks anyway.

    Returns
    -------
    tuple
        Names of the bundle that was left and of the one that serves now.

    Raises
    ------
    BundleError
        There was none before, it is not whole any more, or another one was promoted meanwhile.
    """
    moves = promotions(settings, kind)
    left, before = moves[0].bundle if moves else "", served_before(moves)
    if before is None:
        raise BundleError(
            f"no bundle of {kind.name} served before this one",
            value=left or "none",
            next_step="`zhongcao serving status` lists those that did",
        )
    folder = _contained(settings, before.bundle)
    if folder is None:
        raise BundleError(
            "the bundle that served before is not there any more", value=before.bundle, next_step="train again"
        )
    check_whole(folder, kind)
    check_name(folder, kind)
    if check is not None:
        check(folder)
    move_pointer(settings, kind, Promotion(folder.name, int(time.time()), "rolled back", _user()), left=left)
    return left, folder.name


def _user() -> str:
    """Return whose process this is, empty for an account without a name, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _contained(settings: Settings, name: str) -> Path | None:
    """Return the folder of a bundle; None for a name that leads elsewhere or nowhere."""
    folder = settings.bundles_dir / name
    try:
        inside = folder.name == name and folder.resolve().parent == settings.bundles_dir.resolve()
        return folder if inside and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # a name with a zero byte, one that is too long, links in a circle
        return None
