from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from features.errors import TrainingError
from features.locks import READING_LOCK, exclusive
from features.settings import load_settings
from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from serving.cli.main import build_app
from serving.pages.uplift_page import write_ranking
from tests.training.uplift.trials import made_trial


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZHONGCAO_THREADS", "1")
    return tmp_path / "home"


def run(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(), ["uplift", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def written(folder: Path, *, arms: int = 1) -> Path:
    made = made_trial(700, arms=arms)
    names = np.array(["no ad", "red", "blue"])[made.treatment]
    table = pd.DataFrame(made.X, columns=["a", "b", "c"]).assign(who=[f"p{n}" for n in range(700)], arm=names)
    table.assign(bought=made.y.astype(int), paid=made.y * 3).to_csv(folder / "trial.csv", index=False)
    return folder / "trial.csv"


def test_people_are_listed_by_effect(home: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "ranking.csv", tmp_path / "figures.json"
    data = str(written(tmp_path))
    shown = run(
        "--data", data, "--treatment", "arm", "--outcome", "bought", "--person", "who",
        "--folds", "2", "--out", str(out), "--json", str(figures),
    )  # fmt: skip
    assert "by effect" in shown
    assert "effect, top 10%" in shown
    assert "red: the ranking by effect is better than a random order" in shown
    with out.open() as file:
        rows = list(csv.DictReader(file))
    effects = [float(row["effect"]) for row in rows]
    assert list(rows[0]) == ["rank", "person", "arm", "effect", "probability"]
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 701)]
    assert {row["person"] for row in rows} == {f"p{n}" for n in range(700)}
    assert effects == sorted(effects, reverse=True)
    assert [float(row["probability"]) for row in rows] != sorted(
        (float(r["probability"]) for r in rows), reverse=True
    )
    assert out.stat().st_mode & 0o077 == 0
    found = json.loads(figures.read_text())["arms"]["red"]
    value, low, high = found["by_effect"]["qini"]
    assert low < value < high
    page = (home / "uplift.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "paid</td><td>always set with the outcome" in page
    assert "http" not in page.partition("<body>")[2]


def test_a_ranking_that_tells_nothing_is_said_to_be_so(home: Path, tmp_path: Path) -> None:
    made = made_trial(400)
    data = tmp_path / "trial.csv"
    lot = np.random.default_rng(3).random((2, 400)).round()
    pd.DataFrame({"a": made.X[:, 0], "t": lot[0], "y": lot[1]}).to_csv(data, index=False)
    shown = run("--data", str(data), "--treatment", "t", "--outcome", "y", "--folds", "2")
    assert "not better than a random order beyond noise" in shown


def test_the_best_arm_of_several_is_named_for_everybody(home: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "ranking.csv", tmp_path / "page.html"
    data = str(written(tmp_path, arms=2))
    run(
        "--data", data, "--treatment", "arm", "--outcome", "bought", "--ignore", "who", "--learner", "t",
        "--folds", "2", "--out", str(out), "--page", str(page),
    )  # fmt: skip
    assert page.exists()
    with out.open() as file:
        for row in csv.DictReader(file):
            each = {arm: float(row[f"effect of {arm}"]) for arm in ("red", "blue")}
            assert each[row["arm"]] == max(each.values()) == float(row["effect"])


def test_a_campaign_of_the_log_is_a_trial(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*arguments: Any) -> int:
        with pytest.raises(TrainingError, match="nobody"), exclusive(lock, TrainingError("nobody is erased now")):
            raise AssertionError
        return write_ranking(*arguments)

    monkeypatch.setattr("serving.pages.uplift_page.write_ranking", held)
    lock = load_settings(home=home).work_dir / READING_LOCK
    write_world(WorldSettings(people=150, days=8, campaigns=1, seed=4, hold_out=0.4), BroadPolicy(), tmp_path / "w")
    import_world(load_settings(home=home), tmp_path / "w")
    out = tmp_path / "ranking.csv"
    shown = run("--campaign", "campaign-000", "--outcome", "visits", "--folds", "2", "--out", str(out))
    assert "treated: effect on visits" in shown
    with out.open() as file:
        people = [row["person"] for row in csv.DictReader(file)]
    assert 50 < len(set(people)) == len(people) <= 150
    with exclusive(lock, TrainingError("somebody still reads")):
        pass


@pytest.mark.parametrize(
    "arguments",
    [(), ("--data", "t.csv"), ("--data", "t.csv", "--treatment", "t", "--outcome", "y", "--campaign", "c")],
)
def test_one_trial_is_needed(home: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(TrainingError, match="a trial is needed; give --data with --treatment and --outcome, or"):
        run(*arguments)


def test_unknown_learner_is_refused(home: Path) -> None:
    with pytest.raises(TrainingError, match="no such learner: 'r'; valid: s, t, x, auto"):
        run("--data", "t.csv", "--treatment", "t", "--outcome", "y", "--learner", "r")
