from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from serving.cli.main import main


def test_what_a_user_can_mend_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setattr(sys, "argv", ["zhongcao", "log"])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.startswith("error: there is no event log in ")
    assert said.count("\n") == 1


def test_help_names_every_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["zhongcao", "--help"])
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    for verb in (
        "import",
        "mapping",
        "log",
        "quarantine",
        "taxonomy",
        "train",
        "evaluate",
        "retrain",
        "score",
        "serve",
        "keys",
    ):
        assert verb in shown
