"""Kill -9 five times in every step of a retraining: the rerun that ends comes to the same models and stores."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from tests.source_tree import ROOT
from tests.torture.retraining import settings_of
from training.bundles.champion import champion_path
from training.bundles.manifest import CONVERSION, TAGS
from training.registry import CONVERSION_MODEL, TAG_MODEL, Registry

SHARES = (0.0, 0.3, 0.6, 0.9, 5.0)
"""When a step is killed, of the time that it takes; the last is after its work, before its checkpoint."""

KILLS = int(os.environ.get("KILLS", len(SHARES)))


def ran(home: Path, *more: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.torture.retraining", str(home), *map(str, more)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=1_800)


def state(home: Path) -> dict[str, Any]:
    """Everything that a run leaves and that must not depend on what cut it off."""
    settings = settings_of(home)
    found: dict[str, Any] = {}
    for kind, model in ((TAGS, TAG_MODEL), (CONVERSION, CONVERSION_MODEL)):
        folder, registry = champion_path(settings, kind), Registry(settings.mlruns, model)
        found[kind.name] = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        found[f"{kind.name} alias"] = registry.by_alias("champion") == registry.of_bundle(folder.name)
        found[f"{kind.name} bundle"] = folder.name
    found["bundles"] = sorted(path.name for path in settings.bundles_dir.iterdir())
    with closing(sqlite3.connect(settings.store_file)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found["rows"] = {
            name: store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - names of its own
            for name in tables
        }
    return found


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    first = tmp_path_factory.mktemp("home") / "first"
    write_world(WorldSettings(people=400, days=80, seed=1, campaigns=12), BroadPolicy(), first / "world")
    import_world(settings_of(first), first / "world")
    second = first.with_name("second")
    shutil.copytree(first, second)
    return first, second


def test_a_job_that_is_killed_again_and_again_comes_to_the_same(homes: tuple[Path, Path]) -> None:
    undisturbed, killed = homes
    summary = json.loads(ran(undisturbed).stdout)
    assert summary["code"] == 0, summary["said"]
    assert set(summary["verdicts"]) == {"tags", "conversion"}
    taken = {step["name"]: step["seconds"] for step in summary["steps"]}
    assert {"train-tags", "train-conversion", "promote-tags", "promote-conversion", "fill-tags"} <= set(taken)
    for step, seconds in taken.items():
        for share in SHARES[:KILLS]:
            done = ran(killed, step, share * seconds if share < 1 else 3_600)
            assert done.returncode == -signal.SIGKILL, f"{step} was not reached"
    again = json.loads(ran(killed).stdout)
    assert again["code"] == 0
    sys.stdout.write(f"killed {KILLS} times in each of {len(taken)} steps: {', '.join(taken)}\n")
    assert state(killed) == state(undisturbed)
