"""Steps of a job: each leaves a checkpoint, by which a job that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.durable import write_durably
from training.bundles.manifest import canonical_json
from training.steps import Steps


@dataclass(frozen=True)
class StepDone:
    """A step that is over.

    Parameters
    ----------
    name
        Its name.
    seconds
        How long it took; next to nothing where it was reused.
    reused
        Whether an earlier run had done it.
    """

    name: str
    seconds: float
    reused: bool


class JobSteps:
    """Runs steps in their order, each unless its checkpoint says that it is done.

    Parameters
    ----------
    folder
        Where checkpoints lie, one file a step.
    steps
        Is told what is reused.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = JobSteps(Path(folder), Steps())
    ...     job.run("count", ["a"], lambda: {"rows": 3})
    {'rows': 3}
    """

    def __init__(self, folder: Path, steps: Steps) -> None:
        self._folder, self._steps = folder, steps
        self.done: list[StepDone] = []

    def run(
        self,
        name: str,
        inputs: object,
        make: Callable[[], dict[str, Any]],
        holds: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """Return what a step came to.

        Parameters
        ----------
        name
            Of the step and its checkpoint.
        inputs
            Everything that the result depends on, as JSON takes it.
        make
            Does the work; cut off and called again, it must come to the same.
        holds
            Whether the result of an earlier run still stands, such as a file that it names.
        """
        started = time.perf_counter()
        key = hashlib.sha256(canonical_json(inputs).encode()).hexdigest()[:16]
        path = self._folder / f"{name}.json"
        result = self._known(path, key)
        reused = result is not None and holds(result)
        if result is None or not reused:
            result = make()
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(path, canonical_json({"inputs": key, "result": result}))
        else:
            self._steps.reused(name)
        self.done.append(StepDone(name, round(time.perf_counter() - started, 3), reused))
        return result

    @staticmethod
    def _known(path: Path, key: str) -> dict[str, Any] | None:
        if not path.exists():
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        result: dict[str, Any] = held["result"]
        return result if held["inputs"] == key else None
