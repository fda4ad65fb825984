"""The name of a log's content: computed once for the parts of a version, and never taken for that of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from features.settings import Settings
from features.sources.mapping import load_text
from tests.features.log_cases import imported
from tests.training.small_log import DAY, MAPPING, START
from training.source import open_source

ROWS = "kind,t,user,category,item,amount,quantity\nbuy,{at},u{user},tea,tea-1,{amount},1\n"


def with_event(settings: Settings, folder: Path, user: int, amount: int = 500) -> str:
    (folder / f"{user}.csv").write_text(ROWS.format(at=START + user * DAY, user=user, amount=amount))
    imported(settings, folder / f"{user}.csv", load_text(MAPPING, "small.toml"))
    return data_version(settings)


def data_version(settings: Settings) -> str:
    source = open_source(settings, copied=False)
    source.con.close()
    return source.data_version


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", mlruns=tmp_path / "mlruns", threads=1)


def test_it_is_kept_for_the_parts_of_a_version(settings: Settings, tmp_path: Path) -> None:
    first = with_event(settings, tmp_path, 1)
    (kept,) = (settings.work_dir / "fingerprints").iterdir()
    assert data_version(settings) == first
    kept.write_text(json.dumps([7, 7]), encoding="ascii")
    assert data_version(settings).startswith("v0-7-")
    shutil.rmtree(kept.parent)
    assert data_version(settings) == first
    assert with_event(settings, tmp_path, 2) != first


def test_a_log_that_was_imported_anew_with_other_numbers_has_another(settings: Settings, tmp_path: Path) -> None:
    first = with_event(settings, tmp_path, 1)
    shutil.rmtree(settings.home / "log")
    second = with_event(settings, tmp_path, 1, amount=501)
    assert second.partition("-")[0] == first.partition("-")[0] == "v0"
    assert second != first
