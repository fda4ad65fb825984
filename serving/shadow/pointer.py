"""The shadow pointers: which challenger of each kind scores beside the champion, in one small file a kind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from features.durable import write_durably
from features.settings import Settings
from training.bundles.champion import verify_named
from training.bundles.manifest import Kind, canonical_json
from training.bundles.pointer import Stamp


@dataclass(frozen=True)
class Pointed:
    """A challenger that runs as a shadow.

    Parameters
    ----------
    bundle
        Name of its folder.
    since
        When it was started, epoch seconds.
    share
        Of the predictions that it scores, 0 to 1; which ones follows from their ids.
    """

    bundle: str
    since: int
    share: float


def shadow_file(settings: Settings, kind: Kind) -> Path:
    """Return the file that names the shadow of a kind."""
    return settings.home / f"shadow_{kind.name}.json"


def shadow_folder(settings: Settings, kind: Kind, pointed: Pointed | None = None) -> Path:
    """Return the folder of what the shadows of a kind, or one of them, have seen."""
    folder = settings.home / "shadow" / kind.name
    return folder if pointed is None else folder / f"{pointed.bundle}-{pointed.since}"


def start_shadow(
    settings: Settings,
    folder: Path,
    kind: Kind,
    pointed: Pointed,
    verify: Callable[[Path, Kind], None] = verify_named,
) -> None:
    """Let a bundle of the home run as a shadow, in place of another one of its kind; what that saw is deleted.

    Parameters
    ----------
    settings, folder, kind, pointed
        The bundle, and how it runs.
    verify
        Checks it.

    Raises
    ------
    BundleError
        The bundle is refused.
    """
    verify(folder, kind)
    shutil.rmtree(shadow_folder(settings, kind), ignore_errors=True)
    write_durably(shadow_file(settings, kind), canonical_json(asdict(pointed)))


def stop_shadow(settings: Settings, kind: Kind) -> None:
    """Let nothing of a kind run as a shadow any more; what it saw stays until the next one is started."""
    shadow_file(settings, kind).unlink(missing_ok=True)


def pointed_shadow(settings: Settings, kind: Kind) -> Pointed | None:
    """Return which challenger runs as a shadow, None where there is none or the file is no pointer."""
    try:
        said = json.loads(shadow_file(settings, kind).read_text(encoding="utf-8"))
        return Pointed(str(said["bundle"]), int(said["since"]), float(said["share"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shadow_stamp(settings: Settings, kind: Kind) -> Stamp | None:
    """Return what changes whenever the pointer is written; None where there is none."""
    try:
        found = shadow_file(settings, kind).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
