"""What is said after an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.log.importing import Summary
from features.settings import Settings
from serving.cli.imported import tell_next


@pytest.mark.parametrize(
    ("store", "quarantine", "said"),
    [
        ("", "", ["next: zhongcao log"]),
        ("online.sqlite", "", ["next: zhongcao log", "live events, tags: lacks it"]),
        ("histories.sqlite", "q1", ["next: zhongcao quarantine show q1", "live events, tags: lacks it"]),
    ],
)
def test_filled_stores_are_said_to_lack_what_was_imported(
    store: str,
    *,
    quarantine: str,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if store:
        (tmp_path / store).touch()
    monkeypatch.setattr("serving.live.imports.lacking", lambda _: {"tags": "lacks it", "histories": ""})
    tell_next(Settings(home=tmp_path), Summary("events", "file", accepted=3, quarantine=quarantine))
    assert capsys.readouterr().out.splitlines() == said
