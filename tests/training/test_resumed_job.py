"""A training run that was cut off goes on with the bins and heads that it had finished."""

from __future__ import annotations

from pathlib import Path

import pytest

import training.tags.heads
import training.tags.job
from tests.training.small_log import DAY, START, small_choices, small_home, small_taxonomy
from training.steps import Steps
from training.tags.job import TagJob

AS_OF = START + 130 * DAY


def test_a_rerun_trains_no_finished_head_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small_home(tmp_path)

    def job() -> TagJob:
        return TagJob(settings, small_taxonomy(), AS_OF, small_choices(), Steps())

    expected = {path.name: path.read_bytes() for path in job().train().iterdir()}
    (job().folder / "trained.json").unlink()

    class CutOffError(Exception):
        pass

    def cut_off(*_: object, **__: object) -> None:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(training.tags.job, "write_bundle", cut_off)
        with pytest.raises(CutOffError):
            job().train()
    assert (job().folder / "unfinished").exists()
    with monkeypatch.context() as patched:
        patched.setattr(training.tags.heads, "fit_head", cut_off)
        resumed = job().train()
    assert {path.name: path.read_bytes() for path in resumed.iterdir()} == expected
    assert not (job().folder / "unfinished").exists()
