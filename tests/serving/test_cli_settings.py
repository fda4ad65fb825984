"""Compiled code: every command that scores keeps it in the home, and no other place is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli.main import build_app
from serving.cli.settings import scoring_settings

KEEP = "training.compact.cache.keep_compiled"


class KeptError(Exception):
    """Raised in place of keeping anything."""


@pytest.mark.parametrize(
    "words",
    [
        "train tags --taxonomy t.toml",
        "retrain --taxonomy t.toml",
        "evaluate tags --taxonomy t.toml --as-of now",
        "evaluate study --taxonomy t.toml",
        "score --people all --out out",
        "tags add t.toml",
        "tags remove t",
        "serve",
    ],
)
def test_every_command_that_scores_keeps_it(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def keep(folder: Path) -> None:
        folders.append(folder)
        raise KeptError

    monkeypatch.setattr(KEEP, keep)
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path))
    monkeypatch.setenv("ZHONGCAO_CONFIG", "/dev/null")
    assert isinstance(CliRunner().invoke(build_app(), words.split()).exception, KeptError)
    assert folders == [tmp_path / "compiled"]


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    settings = scoring_settings(home=tmp_path / "none", port=3001)
    assert settings.port == 3001
    assert not settings.home.exists()
