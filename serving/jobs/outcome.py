"""What a retraining came to: an exit code for schedulers, a summary for programs, and the history of runs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from features.durable import write_durably
from features.errors import LogTooShortError, TrainingError, ZhongcaoError
from features.settings import Settings
from serving.jobs.job_steps import StepDone

KEPT_RUNS: Final = 100


class Code(IntEnum):
    """Exit codes of ``zhongcao retrain``."""

    DONE = 0
    ERROR = 2
    DATA_GATE_SHUT = 3
    NOT_PROMOTED = 4
    ANOTHER_RUNS = 5
    LOG_TOO_SHORT = 6


class BusyError(TrainingError):
    """Another retraining job runs in this home."""


@dataclass
class Summary:
    """A run, as programs read it.

    Parameters
    ----------
    run
        Its name, which begins with when it started.
    as_of
        Epoch seconds; None where the run did not come so far.
    code
        Its exit code.
    said
        What it came to, in words.
    steps
        What was done, in order.
    reasons
        To retrain, where they were asked for.
    versions
        Of data, taxonomy and code, and the bundles by kind.
    data
        Report of the data checks.
    verdicts
        By kind of model: whether it was promoted, and why.
    next_steps
        What to do now.
    """

    run: str
    as_of: int | None = None
    code: int = Code.DONE
    said: str = ""
    steps: list[StepDone] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    next_steps: list[str] = field(default_factory=list)

    def fail(self, error: ZhongcaoError) -> None:
        """Note why the run ended early."""
        self.code = code_of(error)
        self.said = str(error)
        self.next_steps = [error.next_step] if error.next_step else []

    def text(self) -> str:
        """Return the summary as JSON."""
        document = {"code_name": Code(self.code).name.lower(), **asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def code_of(error: ZhongcaoError) -> Code:
    """Return the exit code of an error.

    Examples
    --------
    >>> code_of(LogTooShortError("the log is too short")).name
    'LOG_TOO_SHORT'
    """
    if isinstance(error, BusyError):
        return Code.ANOTHER_RUNS
    return Code.LOG_TOO_SHORT if isinstance(error, LogTooShortError) else Code.ERROR


def run_name() -> str:
    """Return a name for a run that starts now; of two, the later sorts behind."""
    now = time.time_ns()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f"-{now % 10**9:09d}"


def keep(settings: Settings, summary: Summary) -> Path:
    """Write a summary to the history of runs, which keeps the last ones, and return its file."""
    history = settings.home / "runs"
    folder = history / summary.run
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "summary.json"
    write_durably(path, summary.text())
    for old in sorted(history.iterdir())[:-KEPT_RUNS]:
        (old / "summary.json").unlink(missing_ok=True)
        old.rmdir()
    return path
