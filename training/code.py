"""The version of the code that computes features and models, as a hash of its sources."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_COUNTED = ("lightgbm", "numpy", "duckdb", "narwhals", "scikit-learn")


@cache
def code_version() -> str:
    """Hash the sources of ``features`` and ``training`` and the versions of the libraries that compute.

    Returns
    -------
    str
        Twelve hex digits.
    """
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    for package in ("features", "training"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    for name in _COUNTED:
        digest.update(f"{name}={version(name)}".encode())
    return digest.hexdigest()[:12]
