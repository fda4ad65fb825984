"""Files that are either wholly there or not there at all, also after a crash or a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Replace a file's content in one step: a reader sees the old text or the new one, never a part.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_durably(Path(folder) / "a.json", "{}")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.json']
    """
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        publish_file(Path(draft), path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def publish_file(draft: Path, path: Path) -> None:
    """Give a finished file its name, after its content has reached the disk.

    Parameters
    ----------
    draft
        The file.
    path
        Its name from now on, in the same folder; a file that has it is replaced.
    """
    _flush(draft)
    draft.replace(path)
    _flush(path.parent)


def publish(work: Path, target: Path) -> None:
    """Give a finished folder its name, after everything in it has reached the disk.

    Parameters
    ----------
    work
        The folder.
    target
        Its name from now on, in the same file system; must not exist.
    """
    for path in work.rglob("*"):
        _flush(path)
    _flush(work)
    work.rename(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
