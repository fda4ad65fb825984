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
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _flush(path.parent)


def publish(work: Path, target: Path) -> None:
    """Give a finished folder its name, after everything in it has reached the disk.

    Parameters
    ----------
    work
        The folder; it holds files only.
    target
        Its name from now on, in the same file system; must not exist.
    """
    for path in work.iterdir():
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
