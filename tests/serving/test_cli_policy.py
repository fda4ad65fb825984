from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import OverlapError, TrainingError
from features.settings import load_settings
from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from serving.cli.main import build_app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(), ["evaluate", "policy", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_policies_are_valued_on_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZHONGCAO_THREADS", "1")
    write_world(WorldSettings(people=250, days=8, seed=3, campaigns=3, hold_out=0.1), BroadPolicy(), tmp_path / "w")
    import_world(load_settings(), tmp_path / "w")
    figures = tmp_path / "figures.json"
    shown = run("--json", str(figures))
    assert "slots (people held out)" in shown
    assert "click per 1,000 slots under uniform" in shown
    found = json.loads(figures.read_text())
    assert set(found["estimates"]) == {"ips", "snips", "dr"}
    assert found["refused"] is None
    # The log tells how it chose: chances that were logged are the true ones.
    assert abs(found["overlap"]["mean_weight"] - 1) < 4 * found["overlap"]["mean_weight_error"]
    assert found["slots"] == found["overlap"]["rows"] > 100
    for estimate in found["estimates"].values():
        assert estimate["low"] < estimate["value"] < estimate["high"]
        assert estimate["value"] - found["brought"] == pytest.approx(estimate["gain"])
    scored = run("--policy", "by-score", "--temperature", "0.5", "--json", str(figures))
    assert "under by-score" in scored
    assert json.loads(figures.read_text())["overlap"]["effective"] < found["overlap"]["effective"]
    one = tmp_path / "one.csv"
    one.write_text("note,weight\nnowhere,1\n")
    with pytest.raises(TrainingError, match="without one"):
        run("--policy", str(one))
    with pytest.raises(OverlapError, match="log says too little"):
        run("--most", "40", "--json", str(figures))
    assert "too little" in json.loads(figures.read_text())["refused"]
