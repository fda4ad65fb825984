"""Compiled code is kept for its owner alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import SettingsError
from training.compact.cache import keep_compiled

SCORE = """
import sys
from pathlib import Path
import numpy as np
from training.compact.cache import keep_compiled
from training.compact.candidates import CandidateForest
from training.compact.forest import CompactForest
from training.compact.kernels import score_blocks, score_row
from training.compact.pruned import score_pruned
from training.compact.walk import prune, score_walked
keep_compiled(Path(sys.argv[1]))
CompactForest.from_boosters([], 1).warm()
CandidateForest.from_boosters([], 1).warm()
kernels = score_blocks, score_row, prune, score_pruned, score_walked
print(sum(len(kernel.stats.cache_hits) for kernel in kernels))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    command = [sys.executable, "-c", SCORE, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    hits = [
        int(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)
        for _ in range(2)
    ]
    assert hits == [0, 5]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o022 == 0 for path in folder.rglob("*"))


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o755])
def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "compiled"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError, match="open to others: what they put there would run"):
        keep_compiled(folder)
    assert list(folder.iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "compiled").symlink_to(tmp_path / "real")
    with pytest.raises(SettingsError, match="open to others"):
        keep_compiled(tmp_path / "compiled")


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingsError, match="open to others"):
        keep_compiled(tmp_path / "compiled")
