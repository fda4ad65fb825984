from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import TrainingError
from serving.cli.main import build_app


def run(*arguments: str) -> None:
    CliRunner().invoke(build_app(), ["evaluate", *arguments], catch_exceptions=False)


def test_a_part_that_no_study_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such part: 'seeds'; valid: windows, additions, features"):
        run("study", "--taxonomy", str(tmp_path / "tags.toml"), "--parts", "features,seeds")


def test_a_rule_of_assignment_is_checked_before_anything_runs(tmp_path: Path) -> None:
    taxonomy = str(tmp_path / "tags.toml")
    with pytest.raises(TrainingError, match="no such rule of assignment: 'best'; valid: share"):
        run("tags", "--taxonomy", taxonomy, "--as-of", "2024-05-01", "--assign", "best")
