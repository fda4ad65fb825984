"""What only machines with Dask or Spark can test."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import pytest


def require(package: str, program: str | None = None) -> None:
    """Skip where a package or a program is missing; under CI, where all is installed, fail.

    Parameters
    ----------
    package
        Python package of an extra, e.g. ``pyspark``.
    program
        A program beside it, e.g. ``java``.
    """
    missing = [] if find_spec(package) else [f"{package} is not installed: make scale"]
    if program is not None and shutil.which(program) is None:
        missing.append(f"{program} is not installed")
    if missing and os.environ.get("CI"):
        pytest.fail("; ".join(missing))
    if missing:
        pytest.skip("; ".join(missing))
