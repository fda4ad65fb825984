"""Where compiled code is kept between processes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from numba import config

from features.errors import SettingsError
from features.incremental import kernels as incremental_kernels
from training.compact.kernels import encode, score_blocks, score_row
from training.compact.pruned import score_pruned
from training.compact.walk import prune, same_columns, score_walked


def keep_compiled(folder: Path) -> None:
    """Keep what scorers and live features compile in a folder of this user, and read it there in later processes.

    Loading compiled code runs it, so the folder must be this user's and closed to everybody else. Call it before
    anything is scored: what is compiled already is not written. Each version of the code uses a folder of its own.

    Parameters
    ----------
    folder
        Made with mode 0700 if it is missing.

    Raises
    ------
    SettingsError
        The folder belongs to somebody else, or others may write or read it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SettingsError(
            "the folder of compiled code is open to others: what they put there would run",
            value=str(folder),
            next_step="remove it; it is made anew, for its owner only",
        )
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(incremental_kernels.__file__)):
        digest.update(path.read_bytes())
    own = folder.resolve() / digest.hexdigest()[:16]
    own.mkdir(mode=0o700, exist_ok=True)
    before = config.CACHE_DIR  # type: ignore[attr-defined]  # numba sets its settings at run time
    config.CACHE_DIR = str(own)  # type: ignore[attr-defined]
    try:
        live = incremental_kernels.merged, incremental_kernels.tally
        for kernel in (encode, score_blocks, score_row, prune, same_columns, score_pruned, score_walked, *live):
            kernel.enable_caching()
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
