"""Tests that take minutes: collected by `make torture` alone."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("TORTURE") else ["test_*.py"]
