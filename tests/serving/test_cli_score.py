"""The verb ``score``, from a log and from a store that was filled from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from features.days import day_text
from features.errors import BundleError, LogTooShortError, ScoresError
from features.locks import exclusive
from features.people.identity import account_key, load_key
from features.rows.catalog import layout_for
from features.settings import Settings
from features.sources.mapping import load_text
from serving.cli import score as cli_score
from serving.online.backfill import backfill
from tests.features.log_cases import imported, written
from tests.training.small_log import DAY, START, small_home, small_taxonomy
from training.bundles.champion import champion_path, promote
from training.source import open_source
from training.steps import Steps
from training.tags.bundle import load_bundle, write_bundle
from training.tags.fit import TagSettings, fit_tags
from training.tags.heads import HeadSettings
from training.tags.pairs import Window
from training.tags.pooled import PooledSettings
from training.tags.windows import WindowBuilder

NOW = START + 140 * DAY
WITHDRAWALS = """
source = "consents"
table = "identities"
platform = "shop"
time = "epoch_s"
[columns]
account = "user"
person = "user"
valid_from = "t"
consent = "consent"
"""


@dataclass(frozen=True)
class Home:
    """A home with a champion, and the window of NOW that its store is filled with."""

    settings: Settings
    window: Window


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    settings = small_home(tmp_path_factory.mktemp("score"))
    taxonomy = small_taxonomy()
    layout = layout_for(taxonomy, ("purchase",))
    builder = WindowBuilder(open_source(settings), taxonomy, layout, settings.work_dir / "windows")
    window = builder.build(NOW)
    outcomes = (np.random.default_rng(4).random((len(window.persons), len(taxonomy.tags))) < 0.3).astype(np.uint8)
    outcomes[:, -1] = 0
    made_up = replace(window, labels=outcomes)
    model, _ = fit_tags(
        layout=layout,
        taxonomy=taxonomy,
        choose=[made_up],
        validation=made_up,
        train=[made_up],
        fitted=window.fitted,
        settings=TagSettings(
            pooled=PooledSettings(trees=4, leaves=4, min_data_in_leaf=5),
            heads=HeadSettings(trees=2, leaves=3, min_data_in_leaf=5),
        ),
        threads=1,
    )
    promote(settings, write_bundle(model, {"choices": {"kinds": None}}, NOW - 20 * DAY, settings.bundles_dir))
    backfill(settings, load_bundle(champion_path(settings)), NOW, Steps(Console(quiet=True)))
    return Home(settings, window)


@pytest.fixture
def app(home: Home, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.settings.home))
    monkeypatch.setenv("ZHONGCAO_THREADS", "2")
    app = typer.Typer()
    cli_score.register(app)
    return app


def said(app: typer.Typer, *words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def scored(out: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in pq.read_table(out / "part-00000.parquet").to_pylist():
        found.setdefault(row["person"], {})[row["tag"]] = row["probability"]
    return found


def test_a_day_of_the_log_gives_the_scores_of_its_window(app: typer.Typer, home: Home, tmp_path: Path) -> None:
    day = day_text(NOW, "UTC")
    shown = said(app, "--people", "all", "--out", tmp_path / "out", "--as-of", day)
    bundle = load_bundle(champion_path(home.settings))
    window = home.window
    expected = bundle.model.predict(window.rows).astype(np.float32)
    learned = np.flatnonzero(bundle.model.active)
    found = scored(tmp_path / "out")
    assert list(found) == list(window.persons)
    for row, person in enumerate(window.persons):
        assert found[person] == {bundle.taxonomy.tags[tag].id: expected[row, tag] for tag in learned}
    assert f"{len(window.persons)} people, {len(window.persons) * len(learned)} scores" in shown.replace("1,", "1")

    said(app, "--people", "all", "--out", tmp_path / "store")
    assert scored(tmp_path / "store") == found, "the store was filled with the same window"


def test_a_list_of_accounts_as_of_a_day(app: typer.Typer, home: Home, tmp_path: Path) -> None:
    people = written(tmp_path, "platform,account\nshop,u7\nshop,stranger\n")
    said(app, "--people", people, "--out", tmp_path / "out", "--as-of", day_text(NOW, "UTC"), "--top", 3)
    [(person, tags)] = scored(tmp_path / "out").items()
    assert (person, len(tags)) == (account_key(load_key(home.settings), "shop", "u7"), 3)
    assert "stranger" in (tmp_path / "out" / "not-scored-00000.csv").read_text()


def test_a_second_start_keeps_what_is_there(app: typer.Typer, tmp_path: Path) -> None:
    words = ("--people", "all", "--out", tmp_path / "out", "--min-probability", 0.2)
    said(app, *words)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert "1 of them finished earlier" in said(app, *words)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert min(tag for tags in scored(tmp_path / "out").values() for tag in tags.values()) >= 0.2
    with pytest.raises(ScoresError, match="another run, whose rows differs"):
        said(app, *words, "--as-of", day_text(NOW, "UTC"))


def test_a_day_that_the_log_does_not_reach_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    with pytest.raises(LogTooShortError, match="before the day to score people as of: '2024-06-15'"):
        said(app, "--people", "all", "--out", tmp_path / "out", "--as-of", "2024-06-15")


def test_two_commands_do_not_write_into_one_folder(
    app: typer.Typer, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(app, "--people", "all", "--out", tmp_path / "out")
    [lock] = [
        path for path in home.settings.work_dir.glob("score-*.lock") if path.stat().st_mtime_ns == newest(home)
    ]
    with exclusive(lock), pytest.raises(ScoresError, match="another command writes scores there"):
        said(app, "--people", "all", "--out", tmp_path / "out")


def newest(home: Home) -> int:
    return max(path.stat().st_mtime_ns for path in home.settings.work_dir.glob("score-*.lock"))


def test_nothing_is_scored_without_a_champion_or_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path))
    app = typer.Typer()
    cli_score.register(app)
    with pytest.raises(BundleError, match="no champion yet"):
        said(app, "--people", "all", "--out", tmp_path / "out")


def test_who_withdrew_after_the_fill_is_left_out(app: typer.Typer, home: Home, tmp_path: Path) -> None:
    said(app, "--people", "all", "--out", tmp_path / "before")
    text = f"user,t,consent\nu7,{NOW + DAY},false\nu8,{NOW + DAY},true\n"
    imported(home.settings, written(tmp_path, text), load_text(WITHDRAWALS, "withdrawals.toml"))
    shown = said(app, "--people", "all", "--out", tmp_path / "after")
    gone = account_key(load_key(home.settings), "shop", "u7")
    assert set(scored(tmp_path / "before")) - set(scored(tmp_path / "after")) == {gone}
    assert "left out: 1, the person withdrew consent" in shown
    manifest = json.loads((tmp_path / "after" / "_manifest.json").read_text())
    assert manifest["left_out"] == {"the person withdrew consent": 1}
    people = written(tmp_path, "platform,account\nshop,u7\nshop,u8\n", "two.csv")
    said(app, "--people", people, "--out", tmp_path / "two")
    assert "the person withdrew consent" in (tmp_path / "two" / "not-scored-00000.csv").read_text()
