"""Two models of a home meet on a later window; one becomes the champion, the other only if somebody says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from features.errors import BundleError
from features.settings import Settings
from features.sources.mapping import load_text
from serving.cli.main import build_app
from serving.jobs.promotion import bundle_named, read_verdict
from tests.features.log_cases import imported
from tests.training.small_log import DAY, MAPPING, START, small_choices, small_taxonomy, write_log
from training.bundles.champion import champion_path
from training.bundles.manifest import TAGS
from training.registry import Registry
from training.steps import Steps
from training.tags.job import TagJob

Invoke = Callable[..., Result]
AS_OF = START + 100 * DAY


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("promotion")
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
    write_log(folder / "log.csv", people=90, days=118)
    imported(settings, folder / "log.csv", load_text(MAPPING, "small.toml"))
    return settings


@pytest.fixture(scope="module")
def bundles(home: Settings) -> tuple[str, str]:
    """Two seeds of one model, the second one registered."""
    first, second = (TagJob(home, small_taxonomy(), AS_OF, small_choices(seed), Steps()).train() for seed in (7, 8))
    Registry(home.mlruns).log_run(name=second.name, params={}, metrics={}, tags={}, bundle=second)
    return first.name, second.name


@pytest.fixture
def run(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(home.mlruns))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(build_app(), list(arguments))

    return invoke


def test_the_first_champion_beats_a_baseline_and_an_equal_one_stays_out(
    home: Settings, bundles: tuple[str, str], run: Invoke, tmp_path: Path
) -> None:
    first, second = bundles
    assert bundle_named(home, str(home.bundles_dir / first)) == (home.bundles_dir / first, TAGS)
    done = run("promote", first)
    assert done.exit_code == 0, done.output
    assert champion_path(home).name == first
    assert f"{first} is the champion, in place of none" in done.output
    assert "is the champion already" in run("promote", first).output

    report = tmp_path / "verdict.json"
    compared = run("compare", "tags:champion", second, "--json", str(report))
    assert compared.exit_code == 0, compared.output
    verdict = json.loads(report.read_text())
    assert verdict["promote"] is False
    assert (verdict["sides"]["champion"], verdict["sides"]["challenger"]) == bundles
    assert verdict["sides"]["start"] >= AS_OF
    assert {check["name"] for check in verdict["report"]["checks"]} >= {
        "better-than-champion",
        "latency",
        "lost-tags",
    }

    shut = run("promote", second)
    assert shut.exit_code == 3
    assert champion_path(home).name == first
    kept = read_verdict(home, second)
    assert kept is not None
    assert kept["primary"] == verdict["primary"]


def test_who_overrules_the_gate_says_why_and_the_run_keeps_it(
    home: Settings, bundles: tuple[str, str], run: Invoke
) -> None:
    _, second = bundles
    registry = Registry(home.mlruns)
    logged = registry.of_bundle(second)
    assert bundle_named(home, logged.run_id)[0].name == second
    assert bundle_named(home, f"tags:{logged.model_version}")[0].name == second
    refused = run("promote", second, "--force")
    assert isinstance(refused.exception, BundleError)
    forced = run("promote", logged.run_id, "--force", "--because", "the old one is too old")
    assert forced.exit_code == 0, forced.output
    assert champion_path(home).name == second
    assert registry.by_alias("champion") == logged
    kept = read_verdict(home, second)
    assert kept is not None
    assert kept["forced"]["because"] == "the old one is too old"
    assert registry.metrics(logged.run_id)["gate.promote"] == 0.0


def test_an_unknown_run_is_named_with_the_known_ones(home: Settings, bundles: tuple[str, str]) -> None:
    with pytest.raises(BundleError, match=f"no such bundle or run: 'tags-0'; valid: .*{bundles[0]}"):
        bundle_named(home, "tags-0")
