"""Reasons to retrain on a small log: told by ``zhongcao status``, acted on by ``zhongcao retrain --if-needed``."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from features.erasure.erasures import ask
from features.erasure.person_keys import PersonKeys
from features.rights.file import rights_path, writing
from features.settings import Settings
from features.sources.mapping import load_text
from serving.cli.main import build_app
from serving.jobs.outcome import Summary, keep
from serving.jobs.state_of_things import reasons
from tests.features.log_cases import imported
from tests.source_tree import ROOT
from tests.training.small_log import DAY, MAPPING, START, small_choices, small_taxonomy, write_log
from training.bundles.champion import promote
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.job import TagJob
from training.triggers.changes import changes
from training.triggers.trigger import Trigger, fired

DAYS = 118
KNOWN = START + 76 * DAY
WINDOWS = {"drift", "score-drift", "loss", "calibration"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("status")
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
    write_log(folder / "log.csv", people=60, days=DAYS)
    imported(settings, folder / "log.csv", load_text(MAPPING, "small.toml"))
    choices = replace(small_choices(), most_instants=2)
    promote(settings, TagJob(settings, small_taxonomy(), KNOWN, choices, Steps()).train())
    keep(settings, Summary("20240501T000000-000000001", said="promoted"))
    return settings


@pytest.fixture(autouse=True)
def environment(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(home.mlruns))


def zhongcao(*words: str) -> Result:
    return CliRunner().invoke(build_app(), list(words))


def test_status_tells_reasons_and_how_things_stand(home: Settings) -> None:
    found = json.loads(zhongcao("status", "--json").stdout)
    reasons = {one["name"]: one for one in found["reasons"]}
    assert set(reasons) == {"age", "maturity", "erasures", *WINDOWS}
    assert reasons["age"]["fired"]
    assert reasons["maturity"]["evidence"]["days"] == 26
    assert reasons["drift"]["evidence"]["about"].endswith("people")
    assert {"at_promotion", "now"} <= set(reasons["loss"]["evidence"])
    assert found["freshness"]["log"]["version"] == 0
    assert "problem" in found["freshness"]["online_store"]
    assert found["runs"][0]["said"] == "promoted"
    assert found["models"]["conversion"] == {"champion": None}
    assert found["models"]["tags"]["champion"].startswith("tags-")
    assert found["models"]["tags"]["challengers"] == []


def test_planted_drift_is_told_with_its_columns_and_is_a_reason(home: Settings, tmp_path: Path) -> None:
    shutil.copytree(home.home, tmp_path / "home")
    shifted = home.model_copy(update={"home": tmp_path / "home"})
    # Everybody takes to tea, in the last month that the log covers.
    rows = [
        f"buy,{START + (DAYS - 1 - day) * DAY + 7_000 + user},u{user},tea,tea-1,{400 + user},1"
        for day in range(1, 30)
        for user in range(60)
    ]
    (tmp_path / "tea.csv").write_text("\n".join(["kind,t,user,category,item,amount,quantity", *rows]))
    imported(shifted, tmp_path / "tea.csv", load_text(MAPPING, "small.toml"), backfill=True)
    before, (drift,) = drift_of(home), drift_of(shifted)
    assert [one.fired for one in before] == [False]
    assert drift.fired
    assert any("tea" in one["name"] for one in drift.evidence["farthest"])
    assert drift.evidence["moved"] >= drift.evidence["least"]


def drift_of(settings: Settings) -> list[Trigger]:
    return [one for one in reasons(settings, Steps()) if one.name == "drift"]


def test_status_in_words(home: Settings) -> None:
    said = zhongcao("status", "--quick").output
    assert all(word in said for word in ("reason to retrain", "maturity", "promoted", "serves; challengers: none"))
    assert not any(name in said for name in WINDOWS)
    assert said.endswith("next: zhongcao retrain --taxonomy TAXONOMY.toml\n")


def test_reasons_that_need_no_window(home: Settings) -> None:
    folder = next(iter(home.bundles_dir.glob("tags-*")))
    bundle, taxonomy = load_bundle(folder), small_taxonomy()

    def names(days: int, of: object = None, **more: int) -> set[str]:
        given = home.model_copy(update=more)
        return {one.name for one in fired(changes(given, bundle, KNOWN + days * DAY, "UTC", of))}  # type: ignore[arg-type]

    horizon = taxonomy.horizon_days
    assert names(0, taxonomy) == set()
    assert names(27) == ({"maturity"} if 27 - horizon >= 7 else set())
    assert names(horizon + 7) >= {"maturity"}
    assert names(28) >= {"age"}
    assert names(horizon + 7, retrain_days=300, retrain_mature_days=30) == set()
    fewer = SimpleNamespace(tags=taxonomy.tags[1:], verticals=taxonomy.verticals, hash="another")
    assert names(0, fewer) == {"taxonomy"}
    erasure = ask(home, PersonKeys("a" * 32, ("a" * 32,)))
    assert names(0) == set()
    with writing(rights_path(home)) as connection:  # as the erasure does once it is carried out
        connection.execute("INSERT INTO trained_before VALUES (?, ?)", (folder.name, erasure))
    assert names(0) == {"erasures"}
    assert names(0, retrain_erasures=2) == set()


def test_a_retraining_without_a_reason_does_nothing(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.jobs.retrain.reasons", lambda *_, **__: [Trigger("age", False, "young")])
    monkeypatch.setattr("serving.jobs.retrain._Run", None)
    file = ROOT / "examples" / "complete_journey" / "audience.toml"
    done = zhongcao("retrain", "--taxonomy", str(file), "--if-needed", "--json", "-")
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert summary["said"] == "nothing to do: there is no reason to retrain"
    assert summary["reasons"][0]["name"] == "age"
    assert summary["steps"] == []


def test_without_a_champion_there_is_a_reason(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "none"))
    found = json.loads(zhongcao("status", "--json").stdout)
    assert [(one["name"], one["fired"]) for one in found["reasons"]] == [("champion", True)]
    assert "problem" in found["freshness"]["log"]
