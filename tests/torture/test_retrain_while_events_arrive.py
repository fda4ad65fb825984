"""A retraining that is killed while events arrive comes to the same model and champion when it is run again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import RegistryError
from features.settings import Settings
from features.sources.mapping import load_text
from serving.jobs.outcome import Code
from serving.jobs.retrain import retrain
from tests.features.log_cases import imported
from tests.training.small_log import DAY, MAPPING, START, small_choices, small_taxonomy, write_log
from training.bundles.champion import champion_path
from training.registry import Registry

CHILD = """
import os, signal, sys
from pathlib import Path
from features.settings import Settings
from serving.jobs.retrain import retrain
from tests.training.small_log import small_choices, small_taxonomy
from training.registry import Registry
from training.tags import job

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

set_alias = Registry.set_alias
def die_at_champion(self, alias, version):
    die() if alias == "champion" else set_alias(self, alias, version)

if sys.argv[2] == "training":
    job.write_bundle = die
else:
    Registry.set_alias = die_at_champion
folder = Path(sys.argv[1])
settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
retrain(settings, small_taxonomy(), "now", small_choices())
"""


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)


def killed(folder: Path, where: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), where], check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert child.returncode == -signal.SIGKILL


def later_event(folder: Path) -> None:
    path = folder / "later.csv"
    rows = ["kind,t,user,category,item,amount,quantity", f"buy,{START + 100 * DAY},u1,tea,tea-1,300,1"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    imported(settings_in(folder), path, load_text(MAPPING, "small.toml"))


def test_a_killed_job_ends_as_an_undisturbed_one_whatever_arrived_meanwhile(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    write_log(whole / "log.csv", people=90, days=118)
    imported(settings_in(whole), whole / "log.csv", load_text(MAPPING, "small.toml"))
    shutil.copytree(whole, cut)
    expected = retrain(settings_in(whole), small_taxonomy(), "now", small_choices())
    assert expected.code == Code.DONE, expected.said

    killed(cut, "training")
    later_event(cut)
    killed(cut, "between pointer and alias")
    settings = settings_in(cut)
    registry, champion = Registry(settings.mlruns), champion_path(settings)
    assert champion.name == expected.versions["tags"]
    with pytest.raises(RegistryError, match="no model version has the alias: 'champion'"):
        registry.by_alias("champion")
    later_event(cut)
    again = retrain(settings, small_taxonomy(), "now", small_choices())
    assert (again.code, again.as_of) == (Code.DONE, expected.as_of)
    assert again.versions == expected.versions
    assert champion_path(settings) == champion
    assert registry.by_alias("champion") == registry.of_bundle(champion.name)
    assert {step.name for step in again.steps if step.reused} >= {"train-tags", "evaluate", "register-tags"}
