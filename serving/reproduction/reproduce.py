"""Whether a kept prediction comes out again, bit by bit; and if not, what differs, or what is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain, islice
from typing import Any, Final

import numpy as np

from features.errors import BundleError, EventLogError, PredictionLogError, StoreError
from features.events import EVENTS
from features.inbox.hold import open_inbox_file
from features.locks import READING_LOCK, Shared
from features.log.event_log import EventLog
from features.settings import Settings
from serving.predictions.files import PredictionFiles
from serving.predictions.ids import made_at
from serving.predictions.log import read
from serving.predictions.record import Made, Prediction, pack, unpack
from serving.reproduction.conversions import ConversionsAgain
from serving.reproduction.gone import GoneError, check_version
from serving.reproduction.tags import TagsAgain
from training.code import code_version

_SHOWN: Final = 10
_AT_ONCE: Final = 200
"""Predictions; what their rows are made of is in memory together."""
_WORDS: Final = "factors"


class Code(IntEnum):
    """Exit codes of ``zhongcao reproduce``; 2 is that of errors."""

    SAME = 0
    DIFFERENT = 1
    GONE = 3


@dataclass(frozen=True)
class Reproduced:
    """What came of computing a prediction again.

    Parameters
    ----------
    id
        Of the prediction.
    code
        Whether it came out the same, different, or not at all.
    said
        That in words.
    features, scores, answer
        Whether these are the same; None where that is not known.
    differences
        The first values that differ.
    notes
        What else is not as it was.
    """

    id: str
    code: Code
    said: str
    features: bool | None = None
    scores: bool | None = None
    answer: bool | None = None
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Reproducer:
    """Computes kept predictions again; what many have in common is read once.

    While it is there, nobody is erased.

    Parameters
    ----------
    settings
        Where predictions, log and bundles lie.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reading = Shared(settings.work_dir / READING_LOCK)
        log = self._log = EventLog.open(settings)
        if settings.inbox_file.exists():  # one of an earlier version lacks tables that are looked into
            open_inbox_file(log).close()
        self._tags = TagsAgain(log)
        self._conversions = ConversionsAgain(log)

    def again(self, predictions: Sequence[str]) -> Iterator[Reproduced]:
        """Compute predictions again, in the order asked.

        Raises
        ------
        PredictionLogError
            A text is no prediction's id.
        """
        for prediction in predictions:
            made_at(prediction)
        for start in range(0, len(predictions), _AT_ONCE):
            asked = [self._kept(prediction) for prediction in predictions[start : start + _AT_ONCE]]
            kept = [one for one in asked if isinstance(one, Prediction)]
            self._tags.expect([one for one in kept if one.origin.kind == "tags"])
            yield from (self._one(one) if isinstance(one, Prediction) else one for one in asked)

    def _kept(self, prediction: str) -> Prediction | Reproduced:
        try:
            return read(self._settings, prediction)
        except PredictionLogError as error:
            return Reproduced(prediction, Code.GONE, f"{error.problem}: {error.next_step}")

    def _one(self, kept: Prediction) -> Reproduced:
        of = self._tags if kept.origin.kind == "tags" else self._conversions
        try:
            made, certain = of.made(kept)
            found = _compared(kept, made, of.columns(kept), certain=certain)
            return found if found.features else self._renewed(kept, found)
        except (GoneError, BundleError, EventLogError, StoreError) as error:
            return Reproduced(kept.id, Code.GONE, f"it cannot be computed again: {error}")

    def _renewed(self, kept: Prediction, found: Reproduced) -> Reproduced:
        """Compute a prediction again with each import that its features may have been renewed from."""
        of = self._tags if kept.origin.kind == "tags" else self._conversions
        for version in of.imports(kept):
            check_version(self._log, EVENTS.name, version, kept)
            made, certain = of.made(kept, version)
            again = _compared(kept, made, of.columns(kept), certain=certain)
            if again.features:
                note = f"with what was imported until version {version} of the events, after the fill"
                return replace(again, notes=(*again.notes, note))
        return found


def latest(settings: Settings, most: int) -> list[str]:
    """Return the ids of the latest kept predictions, the last one first."""
    files = PredictionFiles(settings.predictions_dir)
    found: list[str] = []
    for kept in reversed(files.days()):
        found += [one.id for one in files.latest(kept.day, most - len(found))]
        if len(found) >= most:
            break
    return found


def _compared(kept: Prediction, made: Made, columns: Sequence[str], *, certain: bool) -> Reproduced:
    again = unpack(kept.id, kept.person, kept.origin, pack(made), None)
    features = again.features_hash == kept.features_hash and again.shape == kept.shape
    scores = None if kept.scores_hash is None else again.scores_hash == kept.scores_hash
    before, now = (list(map(_told, one.answer)) for one in (kept, again))
    answer = before == now
    notes = []
    if kept.origin.code != code_version():
        notes.append(f"the code is another one: {code_version()}, and was {kept.origin.code}")
    if not certain:
        notes.append("the log says something else of that version: links or refusals of people have changed since")
    differ = [
        name for name, same in (("features", features), ("scores", scores), ("answer", answer)) if same is False
    ]
    return Reproduced(
        kept.id,
        # Where the data are not what they were, nothing else is to be expected.
        Code.SAME if not differ else Code.DIFFERENT if certain else Code.GONE,
        f"different: {' and '.join(differ)}" if differ else "the same, bit by bit",
        features,
        scores,
        answer,
        tuple(islice(chain([] if features else _features(kept, made, columns), _answers(before, now)), _SHOWN)),
        tuple(notes),
    )


def _features(kept: Prediction, made: Made, columns: Sequence[str]) -> Iterator[str]:
    if kept.shape != made.features.shape:
        yield f"features of the shape {made.features.shape}, and were {kept.shape}"
    elif kept.features is None:
        yield "which features differ is not known: predictions_features was off"
    else:
        before, now = (np.atleast_2d(one) for one in (kept.features, made.features))
        for row, column in np.argwhere(before.view(np.uint32) != now.view(np.uint32)).tolist():
            where = f" of candidate {row + 1}" if len(before) > 1 else ""
            yield f"{columns[column]}{where} is {now[row, column]:.9g}, and was {before[row, column]:.9g}"


def _answers(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> Iterator[str]:
    if len(before) != len(now):
        yield f"{len(now)} answers, and were {len(before)}"
    for place, (was, found) in enumerate(zip(before, now, strict=False), 1):
        for name in was:
            if was[name] != found.get(name):
                yield f"{name} of answer {place} is {found.get(name)}, and was {was[name]}"


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what was answered but for reasons, which are words."""
    return {name: value for name, value in answer.items() if name != _WORDS}
