"""What is said after an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.log.importing import Summary
from features.settings import Settings
from serving.cli.imported import tell_next

STALE = "live rows and histories do not hold these rows until zhongcao backfill has run"


@pytest.mark.parametrize(
    ("store", "accepted", "said"),
    [
        ("", 3, []),
        ("online.sqlite", 3, [STALE]),
        ("histories.sqlite", 3, [STALE]),
        ("online.sqlite", 0, []),
    ],
)
def test_filled_stores_are_said_to_lack_what_was_imported(
    store: str, accepted: int, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if store:
        (tmp_path / store).touch()
    tell_next(Settings(home=tmp_path), Summary("events", "file", accepted=accepted))
    assert capsys.readouterr().out.splitlines() == [*said, "next: zhongcao log"]
