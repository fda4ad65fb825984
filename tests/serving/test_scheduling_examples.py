"""The examples for schedulers are read as their schedulers read them, and their commands are understood."""

from __future__ import annotations

import runpy
import shlex
import sys
from types import ModuleType
from typing import Any

import pytest
import yaml

from serving.cli.main import build_app
from tests.command_tree import misunderstanding
from tests.source_tree import ROOT

FOLDER = ROOT / "examples" / "scheduling"
COMMAND = ["zhongcao", "retrain", "--taxonomy", "/srv/zhongcao/taxonomy.toml"]


def test_the_command_is_understood() -> None:
    assert misunderstanding(build_app(), COMMAND[1:]) is None


def test_crontab() -> None:
    (line,) = [text for text in (FOLDER / "crontab").read_text().splitlines() if not text.startswith("#")]
    fields = shlex.split(line)
    assert fields[:5] == ["30", "3", "*", "*", "1"]
    assert fields[6:10] == COMMAND
    assert misunderstanding(build_app(), fields[7:]) is None


def test_kubernetes() -> None:
    job = yaml.safe_load((FOLDER / "kubernetes_cronjob.yaml").read_text())
    template = job["spec"]["jobTemplate"]["spec"]
    (container,) = template["template"]["spec"]["containers"]
    assert (job["kind"], job["spec"]["concurrencyPolicy"]) == ("CronJob", "Forbid")
    assert container["command"] == COMMAND
    assert template["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [3, 4, 6]


def test_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Dag:
        def __init__(self, **options: Any) -> None:
            made.append(options)

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *_: object) -> None: ...

    for name, words in (
        ("airflow", {"DAG": Dag}),
        ("airflow.operators", {}),
        ("airflow.operators.bash", {"BashOperator": lambda **options: made.append(options)}),
    ):
        module = ModuleType(name)
        vars(module).update(words)
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(FOLDER / "airflow_dag.py"))
    dag, task = made
    assert (dag["max_active_runs"], dag["catchup"], dag["schedule"]) == (1, False, "30 3 * * 1")
    assert shlex.split(task["bash_command"]) == COMMAND
    assert task["skip_on_exit_code"] == 4
