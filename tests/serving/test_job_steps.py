"""Steps of a job leave checkpoints; runs leave a summary and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import LogTooShortError, TrainingError
from features.settings import Settings
from serving.jobs import outcome
from serving.jobs.job_steps import JobSteps
from serving.jobs.outcome import BusyError, Code, Summary, code_of, keep, run_name
from training.steps import Steps

NAMES = ("a", "b", "c")
CHILD = """
import os, signal, sys
from pathlib import Path
from serving.jobs import job_steps
from training.steps import Steps

folder, last = Path(sys.argv[1]), sys.argv[2]
wrote = job_steps.write_durably
def then_die(path, text):
    wrote(path, text)
    if path.stem == last:
        os.kill(os.getpid(), signal.SIGKILL)
job_steps.write_durably = then_die
job = job_steps.JobSteps(folder, Steps())
for number, name in enumerate("abc"):
    job.run(name, number, lambda: {"at": number})
"""


def test_a_step_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str) -> dict[str, str]:
        made.append(name)
        return {"made": name}

    for inputs, holds, expected in ((1, True, "x"), (1, True, "x"), (2, True, "z"), (2, False, "w")):
        name = {(1, True): "x", (2, True): "z", (2, False): "w"}[inputs, holds]
        job = JobSteps(tmp_path, Steps())
        assert job.run("step", inputs, lambda name=name: make(name), lambda _, h=holds: h) == {"made": expected}
    assert made == ["x", "z", "w"]
    assert [step.reused for step in job.done] == [False]


@pytest.mark.parametrize("killed_at", NAMES)
def test_a_killed_job_goes_on_behind_its_last_checkpoint(tmp_path: Path, killed_at: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), killed_at], check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert child.returncode == -signal.SIGKILL
    job = JobSteps(tmp_path, Steps())
    found = [job.run(name, number, lambda n=number: {"at": n}) for number, name in enumerate(NAMES)]
    assert found == [{"at": 0}, {"at": 1}, {"at": 2}]
    assert [step.reused for step in job.done] == [name <= killed_at for name in NAMES]


@pytest.mark.parametrize(
    ("error", "code"), [(BusyError("x"), 5), (LogTooShortError("x"), 6), (TrainingError("x"), 2)], ids=str
)
def test_errors_have_codes_of_their_own(error: TrainingError, code: int) -> None:
    summary = Summary("r")
    summary.fail(error)
    assert (code_of(error), summary.code, summary.said) == (code, code, "x")


def test_the_history_keeps_the_last_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "KEPT_RUNS", 2)
    names = [run_name() for _ in range(3)]
    for name in names:
        path = keep(Settings(home=tmp_path), Summary(name, code=Code.NOT_PROMOTED))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names[1:]
    assert json.loads(path.read_text())["code_name"] == "not_promoted"
