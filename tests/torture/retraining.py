"""A retraining that kills itself: ``python -m tests.torture.retraining HOME [STEP SECONDS]``.

Without a step it runs to its end and prints its summary. With one it ends with SIGKILL so many seconds after that
step began, or, where the step is over before, when its work is done and its checkpoint is not written yet.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from serving.jobs.job_steps import JobSteps
from serving.jobs.retrain import retrain
from training.tags.job import JobSettings


def settings_of(home: Path) -> Settings:
    """Return the settings of a home that `tests.torture.test_retrain_kills` made."""
    return Settings(home=home / "var", mlruns=home / "mlruns", threads=2)


def kill_in(step: str, seconds: float) -> None:
    """Let this process die in a step."""
    run = JobSteps.run

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watched(self: JobSteps, name: str, inputs: object, make: Callable[[], Any], *more: Any) -> dict[str, Any]:
        def dying() -> Any:
            timer = threading.Timer(seconds, die)
            timer.daemon = True
            timer.start()
            make()
            die()

        return run(self, name, inputs, dying if name == step else make, *more)

    JobSteps.run = watched  # type: ignore[assignment, method-assign]


def main(home: Path, *more: str) -> None:
    """Run the job."""
    if more:
        kill_in(more[0], float(more[1]))
    settings = settings_of(home)
    taxonomy = load_taxonomy(home / "world" / "taxonomy.toml")
    summary = retrain(settings, taxonomy, "now", JobSettings(most_instants=2))
    sys.stdout.write(summary.text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
