"""The retraining job on a small log: what it ends with, and what a run that was cut off leaves to the next one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from features.erasure.log import LogPlace
from features.events import EVENTS
from features.locks import exclusive
from features.log.event_log import EventLog
from features.settings import Settings
from features.sources.mapping import load_text
from serving.jobs import retrain as job
from serving.jobs.outcome import Code, Summary
from tests.features.log_cases import NOW, imported
from tests.training.small_log import DAY, MAPPING, START, small_choices, small_taxonomy, write_log
from training.bundles.champion import champion_path
from training.registry import Registry

DAYS: Final = 118
TODAY: Final = "2024-04-28"
LATER: Final = "kind,t,user,category,item,amount,quantity\nbuy,{at},u1,tea,tea-1,500,1\n"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("job")
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
    write_log(folder / "log.csv", people=90, days=DAYS)
    imported(settings, folder / "log.csv", load_text(MAPPING, "small.toml"))
    return settings


@pytest.fixture
def home(logged: Settings, tmp_path: Path) -> Settings:
    return copied(logged, tmp_path)


def copied(settings: Settings, folder: Path) -> Settings:
    for path in (settings.home, settings.mlruns):
        if path.exists():
            shutil.copytree(path, folder / path.name)
    return settings.model_copy(update={"home": folder / "home", "mlruns": folder / "mlruns"})


def retrained(settings: Settings, as_of: str = "now", seed: int = 7) -> Summary:
    return job.retrain(settings, small_taxonomy(), as_of, small_choices(seed))


def unfinished(settings: Settings) -> Path:
    return settings.work_dir / "retrain" / "unfinished.json"


def cut_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the job until it builds windows, as far as a kill would let it, and return what it began with."""

    def killed(_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "_windows", killed)
        with pytest.raises(KeyboardInterrupt):
            retrained(settings)
    found: dict[str, Any] = json.loads(unfinished(settings).read_text(encoding="utf-8"))
    return found


def came_later(settings: Settings, folder: Path) -> None:
    (folder / "later.csv").write_text(LATER.format(at=START + (DAYS - 1) * DAY + 80_000), encoding="utf-8")
    imported(settings, folder / "later.csv", load_text(MAPPING, "small.toml"), now=NOW + DAY)


def test_the_first_run_promotes_and_an_equal_challenger_ends_with_code_4(
    home: Settings,
) -> None:
    first = retrained(home)
    assert first.code == Code.DONE, first.said
    champion = champion_path(home).name
    assert first.versions["tags"] == champion
    assert not unfinished(home).exists()

    second = retrained(home, seed=8)
    assert second.code == Code.NOT_PROMOTED
    assert second.versions["tags"] != champion
    assert champion_path(home).name == champion
    assert second.next_steps == [
        f"zhongcao promote {second.versions['tags']} --force --because TEXT, if you know better"
    ]
    registry = Registry(home.mlruns)
    for alias, bundle in (("champion", champion), ("challenger", second.versions["tags"])):
        assert registry.by_alias(alias) == registry.of_bundle(bundle)


def test_an_error_leaves_nothing_for_the_next_run_to_go_on_with(home: Settings) -> None:
    summary = retrained(home, "2024-01-09")
    assert summary.code == Code.LOG_TOO_SHORT
    assert summary.next_steps
    assert not unfinished(home).exists()


def test_a_shut_gate_of_data_ends_with_code_3_and_nothing_to_go_on_with(home: Settings, tmp_path: Path) -> None:
    at = START + (DAYS - 1) * DAY + 40_000
    rows = [f"buy,{at + number},u{number},tea,tea-{number % 5},50000,1" for number in range(60)]
    (tmp_path / "dear.csv").write_text("\n".join(["kind,t,user,category,item,amount,quantity", *rows]))
    imported(home, tmp_path / "dear.csv", load_text(MAPPING, "small.toml"), backfill=True)
    summary = retrained(home)
    assert summary.code == Code.DATA_GATE_SHUT
    assert "units (amount of shop purchase" in summary.said
    assert summary.next_steps[0] == "zhongcao check"
    assert not unfinished(home).exists()
    assert not home.bundles_dir.exists()


def test_other_errors_end_with_code_2(home: Settings) -> None:
    summary = retrained(home, "the day after")
    assert (summary.code, unfinished(home).exists()) == (Code.ERROR, False)
    assert "the day after" in summary.said


def test_beside_another_job_it_ends_with_code_5_and_leaves_that_ones_work(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(home, monkeypatch)
    with exclusive(home.work_dir / "retrain.lock", None):
        summary = retrained(home)
    assert summary.code == Code.ANOTHER_RUNS
    assert unfinished(home).exists()


def test_a_run_that_was_cut_off_is_gone_on_with_for_a_day(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cut_off(home, monkeypatch)
    came_later(home, tmp_path)
    assert cut_off(home, monkeypatch) == before
    unfinished(home).write_text(json.dumps(before | {"began": before["began"] - DAY - 1}), encoding="utf-8")
    after = cut_off(home, monkeypatch)
    assert after["log"] == before["log"] + 1
    assert after["began"] >= before["began"]


def test_who_was_erased_meanwhile_is_not_in_what_the_next_run_reads(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cut_off(home, monkeypatch)
    log = EventLog.open(home)
    con = log.connect()
    (erased,) = log.events(con).project("account").distinct().order("account").limit(1).fetchall()[0]
    con.close()
    assert LogPlace(log, EVENTS.name).erase([erased], [erased]) > 0
    after = cut_off(home, monkeypatch)
    assert after["log"] > before["log"]
    con = log.connect()
    assert not log.events(con, after["log"]).filter(f"account = '{erased}'").fetchall()
    con.close()
