"""Filling the online store in several processes: the bytes that one would have written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from features.incremental import build
from features.settings import Settings
from serving.online import backfill
from tests.serving.live_homes import filled, live_home


def stored(settings: Settings) -> dict[str, list[str]]:
    """Return all that the store holds, but for the name of the fill."""
    with sqlite3.connect(settings.store_file) as con:
        return {
            name: sorted(map(repr, con.execute(f"SELECT * FROM {name}").fetchall()))  # noqa: S608
            for name in ("rows", "states", "accounts", "live")
        }


def test_processes_fill_the_store_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = live_home(tmp_path)
    filled(settings)
    alone = stored(settings)
    assert len(alone["rows"]) == 10
    monkeypatch.setattr(build, "PEOPLE_AT_ONCE", 3)
    monkeypatch.setattr(backfill, "PEOPLE_AT_ONCE", 3)
    monkeypatch.setattr(backfill, "_PEOPLE_PER_PROCESS", 5)
    began: list[int] = []
    several = backfill.in_processes
    monkeypatch.setattr(
        backfill, "in_processes", lambda work, given, many: began.append(many) or several(work, given, many)
    )
    filled(settings.model_copy(update={"threads": 2}))
    assert began == [2]
    assert stored(settings) == alone
