from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import BundleError, OverlapError, TrainingError
from features.settings import load_settings
from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from serving.cli.main import build_app
from serving.jobs import delivery_plan
from tests.serving.asked_homes import promote_small_champions

DAYS = 20


def run(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(), ["plan", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_campaign_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(tmp_path / "mlruns"))
    monkeypatch.setenv("ZHONGCAO_THREADS", "1")
    monkeypatch.setattr(delivery_plan, "verify_bundle", lambda *_: None)
    world = WorldSettings(people=300, days=DAYS, seed=3, campaigns=3, hold_out=0.2)
    write_world(world, BroadPolicy(), tmp_path / "w")
    settings = load_settings()
    import_world(settings, tmp_path / "w")
    with pytest.raises(BundleError):
        run("--campaign", "campaign-001", "--budget", "20")
    promote_small_champions(settings)
    out = tmp_path / "out"
    said = run("--campaign", "campaign-001", "--budget", "20", "--out", str(out), "--tags", "3")
    assert "no plan by these rules can be expected to cause more" in said
    found = json.loads((out / "plan.json").read_text())
    assert found["campaign"] == "campaign-001"
    assert found["expected"]["cost"] <= 20
    assert found["optimum"]["value"] <= found["optimum"]["bound"]
    assert sum(line["spend"] for line in found["lines"]) == pytest.approx(found["expected"]["cost"])
    assert {line["cap"] for line in found["lines"]} == {4}
    assert all(0 < line["share"] <= 1 and line["bid_factor"] >= 1 for line in found["lines"])
    names = {tuple(line["audience"]["all"]) for line in found["lines"]}
    assert () in names
    page = (out / "plan.html").read_text()
    assert page.count("data:image/png") == 2
    assert "http" not in page.split("</style>")[-1]
    with pytest.raises(TrainingError, match=r"no such campaign: 'spring'; valid: campaign-000"):
        run("--campaign", "spring", "--budget", "20")
    with pytest.raises(OverlapError, match="no paid impression"):
        run("--campaign", "campaign-001", "--budget", "20", "--as-of", "2024-08-01")
