"""What a run has finished: its bundle and its evaluations, so that the same run need not be made twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

from features.durable import write_durably
from training.bundles.manifest import TAGS, Kind, canonical_json, intact
from training.steps import Steps

_TRAINED: Final = "trained.json"


class Evaluated(Protocol):
    """What an evaluation found."""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote."""


Found = TypeVar("Found", bound=Evaluated)


class Finished:
    """Results of a run.

    Parameters
    ----------
    folder
        Of the run, named after everything that it depends on.
    bundles
        Where bundles lie.
    steps
        Is told what is reused.
    """

    def __init__(self, folder: Path, bundles: Path, steps: Steps) -> None:
        self._folder, self._bundles, self._steps = folder, bundles, steps

    def bundle(self, name: str, make: Callable[[], Path], kind: Kind = TAGS) -> Path:
        """Return the run's bundle, made unless it is there and whole.

        Parameters
        ----------
        name
            What it holds, in words.
        make
            Trains, and returns the bundle's folder.
        kind
            What it must be.
        """
        done = self._folder / _TRAINED
        if done.exists():
            bundle = self._bundles / str(json.loads(done.read_text(encoding="utf-8"))["bundle"])
            if intact(bundle, kind):
                self._steps.reused(name)
                return bundle
        bundle = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(done, json.dumps({"bundle": bundle.name}))
        return bundle

    def evaluation(self, name: str, kind: type[Found], make: Callable[[], Found]) -> Found:
        """Return an evaluation, made unless one of that name is there."""
        done = self._folder / f"evaluation-{name}.json"
        if done.exists():
            self._steps.reused("evaluation")
            return kind.from_dict(json.loads(done.read_text(encoding="utf-8")))
        found = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(done, canonical_json(found.as_dict()))
        return found
