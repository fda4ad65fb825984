"""zhongcao backfill and zhongcao parity."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from features.settings import Settings
from serving.cli.live import register
from serving.online.sqlite_store import SqliteStore
from serving.online.store import Update
from tests.serving.live_homes import live_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = live_home(tmp_path)
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setenv("ZHONGCAO_HOME", str(settings.home))
    return settings


def run(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    told = CliRunner().invoke(app, arguments)
    if told.exception is not None and not isinstance(told.exception, SystemExit):
        raise told.exception
    return told


def test_what_is_filled_is_the_batchs_and_a_false_row_is_told(home: Settings) -> None:
    assert "next: zhongcao serve" in run("backfill").stdout
    assert "rows of 0 people of whom events were imported" in run("backfill", "--since-import").stdout
    good = run("parity", "--json")
    assert good.exit_code == 0
    store = SqliteStore(home.store_file)
    people = store.describe().people
    assert json.loads(good.stdout) == {
        "rows": people, "histories": 0, "fed": 0, "different": 0, "differences": []
    }  # fmt: skip
    live = store.live()
    assert live is not None
    [block] = store.scan(live.fill, "", None, 1000)
    [state] = store.states(block.persons[:1])
    assert state is not None
    wrong = np.where(np.isnan(block.matrix[0]), 1, block.matrix[0] + 1).astype(np.float32)
    store.update(live, live.seq, [Update(block.persons[0], state, int(block.as_of[0]), wrong)])
    store.close()
    bad = run("parity")
    assert bad.exit_code == 1
    assert "1 differ" in bad.stdout
    assert "row of person" in bad.stdout
    assert block.persons[0] not in bad.stdout
