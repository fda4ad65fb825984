from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.settings import Settings
from features.sources.mapping import load_text
from serving.cli.main import build_app
from tests.features.log_cases import imported
from tests.training.small_log import MAPPING, write_log


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of 40 days whose last two lost all purchases."""
    log = tmp_path / "log.csv"
    write_log(log, people=150, days=40)
    last = 1_704_067_200 + 38 * 86_400
    lines = log.read_text().splitlines()
    kept = [line for line in lines if not (line.startswith("buy") and int(line.split(",")[1]) >= last)]
    log.write_text("\n".join(kept))
    home = tmp_path / "home"
    imported(Settings(home=home), log, load_text(MAPPING, "small.toml"))
    monkeypatch.setenv("ZHONGCAO_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shut_gate_has_an_exit_code_and_can_be_overruled_for_a_reason(home: Path) -> None:
    run = CliRunner().invoke
    shut = run(build_app(), ["check", "--json", "checks.json"])
    assert shut.exit_code == 3
    assert "shop purchase on" in shut.output
    checks = json.loads((home / "checks.json").read_text())["checks"]
    assert [check["name"] for check in checks if check["status"] == "FAIL"] == ["missing-kind"]

    accept = ["check", "--accept", "missing-kind"]
    words = [*accept, "--by", "li", "--why", "the till was closed", "--json", "checks.json"]
    assert run(build_app(), words).exit_code == 0
    (told,) = [c for c in json.loads((home / "checks.json").read_text())["checks"] if c["name"] == "missing-kind"]
    assert told["status"] == "WARN"
    assert "accepted by li at" in told["said"]
    assert told["said"].endswith(": the till was closed")

    nameless = run(build_app(), ["check", "--accept", "missing-kin", "--why", "so"])
    assert "no check has this name: 'missing-kin'; valid: schema, future" in str(nameless.exception)
    silent = run(build_app(), accept)
    assert "accepted for a reason" in str(silent.exception)
    assert run(build_app(), ["check", "--as-of", "2024-02-06"]).exit_code == 0
