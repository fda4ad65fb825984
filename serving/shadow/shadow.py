"""Challengers score the requests that champions answer, beside them and never in their way."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from features.durable import write_durably
from features.errors import StoreError, ZhongcaoError
from features.rights.ledger import Rights
from features.settings import Settings
from serving.champions.served import Served, plainly
from serving.predictions.ids import is_sampled
from serving.predictions.record import Keeps, Made
from serving.shadow.agreement import Agreement
from serving.shadow.kept_scores import KeptScores, Scored
from serving.shadow.pointer import Pointed, pointed_shadow, shadow_folder, shadow_stamp
from serving.shadow.reading import Comparable, comparable_conversions, comparable_tags
from training.bundles.champion import verify_named
from training.bundles.manifest import CONVERSION, TAGS, Kind
from training.bundles.pointer import Stamp
from training.conversion.bundle import load_conversion_bundle
from training.tags.bundle import load_bundle

_log = logging.getLogger("zhongcao.serving")
_LOOK_SECONDS: Final = 0.5
_WRITE_SECONDS: Final = 2.0
_END_SECONDS: Final = 5.0
"""How long a server that ends waits for a challenger that scores."""
_FEW_SECONDS: Final = 0.05
_MOST_WAITING: Final = 512
"""Predictions in the queue; with more, they are dropped."""
_AT_ONCE: Final = 32
_MOST_KEPT: Final = 100_000
"""Predictions whose scores are kept until it is known what came true."""
_KINDS: Final[Mapping[str, Kind]] = {"tags": TAGS, "conversions": CONVERSION}


@dataclass
class _Running:
    """A challenger that is loaded, and what it has seen in this process."""

    kind: Kind
    pointed: Pointed
    bundle: Any
    folder: Path
    kept: KeptScores
    seen: dict[tuple[str, ...], Agreement] = field(default_factory=dict)
    scored: int = 0
    unread: int = 0
    why: str = ""
    common: dict[str, Comparable | str] = field(default_factory=dict)
    waiting: list[Scored] = field(default_factory=list)


class Shadow:
    """Names and keeps predictions as the prediction log does, and lets challengers make them, too.

    A request puts what it would hand to the log into a bounded queue, and only while a challenger runs; one thread
    scores. It works half of the time at most, and what does not fit into the queue is dropped and counted.

    Parameters
    ----------
    settings
        Whose pointers are followed.
    log
        Names predictions.
    champions
        Kind of prediction → what answers.
    verify
        Checks a challenger before it is loaded.
    """

    def __init__(
        self,
        settings: Settings,
        log: Keeps,
        champions: Mapping[str, Served[Any]],
        *,
        verify: Callable[[Path, Kind], None] = verify_named,
    ) -> None:
        self._settings, self._log, self._champions, self._verify = settings, log, champions, verify
        self._queue: SimpleQueue[tuple[str, Callable[[str], Made]]] = SimpleQueue()
        self._share = 0.0
        self._dropped = 0
        self._running: dict[str, _Running] = {}
        self._stamps: dict[str, Stamp | None] = {}
        self._name = f"state-{uuid.uuid4().hex[:12]}.json"
        self._rights = Rights(settings)
        self._silent: set[str] = set()
        self._stop = Event()
        self._thread = Thread(target=self._work, name="shadow", daemon=True)

    def keep(self, make: Callable[[str], Made]) -> str:
        """Name a prediction, see `Keeps.keep`, and remember it for a challenger where one runs."""
        prediction = self._log.keep(make)
        if self._share and is_sampled(prediction, self._share):
            if self._queue.qsize() < _MOST_WAITING:
                self._queue.put((prediction, make))
            else:
                self._dropped += 1
        return prediction

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            _log.warning("the shadow's challenger does not end: what it saw last is not written")
        else:
            self._rights.close()

    def look(self) -> None:
        """Follow the pointers: load what they name, forget what they do not."""
        for name, kind in _KINDS.items():
            stamp = shadow_stamp(self._settings, kind)
            if name in self._stamps and stamp == self._stamps[name]:
                continue
            self._stamps[name] = stamp
            before = self._running.pop(name, None)
            if before is not None:
                self._write(before)
            pointed = pointed_shadow(self._settings, kind)
            if pointed is not None:
                with suppress(ZhongcaoError):
                    self._running[name] = self._loaded(kind, pointed)
        self._share = max((one.pointed.share for one in self._running.values()), default=0.0)

    def score(self) -> int:
        """Score what waits, some of it; return how many predictions that were."""
        # Also of people whose erasure is over when their scores are written.
        self._silent.update(self._rights.refused())
        taken: list[Made] = []
        with suppress(Empty):
            while len(taken) < _AT_ONCE:
                prediction, make = self._queue.get_nowait()
                taken.append(make(prediction))
        for name, running in self._running.items():
            mine = [one for one in taken if one.kind == name and is_sampled(one.id, running.pointed.share)]
            if mine:
                self._try_to_score(running, mine)
        return len(taken)

    def write(self) -> None:
        """Put on disk what was seen."""
        for running in self._running.values():
            self._write(running)

    def _work(self) -> None:
        looked = written = 0.0
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                if begun - looked >= _LOOK_SECONDS:
                    self.look()
                    looked = time.monotonic()
                scored = self.score()
                if begun - written > _WRITE_SECONDS:
                    self.write()
                    written = time.monotonic()
            except Exception as error:  # the thread must go on, whatever it was
                _log.warning("the shadow failed: %s", type(error).__name__)
                scored = 0
            self._stop.wait(self._pause(time.monotonic() - begun, scored))
        with suppress(ZhongcaoError, OSError):
            self.write()

    def _pause(self, worked: float, scored: int) -> float:
        if not self._running:
            return _LOOK_SECONDS
        # Half of the time is for those who answer.
        return worked if scored == _AT_ONCE else _FEW_SECONDS

    def _loaded(self, kind: Kind, pointed: Pointed) -> _Running:
        folder = self._settings.bundles_dir / pointed.bundle
        seen = shadow_folder(self._settings, kind, pointed)
        try:
            self._verify(folder, kind)
            bundle = load_bundle(folder) if kind is TAGS else load_conversion_bundle(folder)
            bundle.model.warm()
        except ZhongcaoError as error:
            _log.warning("%s does not run as a shadow: %s", pointed.bundle, plainly(error))
            raise
        _log.info("%s runs as a shadow", pointed.bundle)
        return _Running(kind, pointed, bundle, seen, KeptScores(seen))

    def _common(self, running: _Running, model: str, name: str) -> Comparable | str:
        """Return what a champion and a challenger have in common, or why it is nothing."""
        if model not in running.common:
            now = self._champions[name].now
            if isinstance(now, ZhongcaoError) or now.bundle.version != model:
                return "another champion answered meanwhile"
            compare: Any = comparable_tags if running.kind is TAGS else comparable_conversions
            try:
                running.common[model] = compare(now.bundle, running.bundle)
            except StoreError as error:
                running.common[model] = str(error)
        return running.common[model]

    def _try_to_score(self, running: _Running, made: Sequence[Made]) -> None:
        before = running.scored + running.unread
        try:
            self._score(running, made)
        except Exception as error:  # it is told of, and the next predictions are tried
            running.why = f"the challenger failed: {type(error).__name__}"
            running.unread += len(made) - (running.scored + running.unread - before)
            _log.warning("a shadow's challenger failed: %s", type(error).__name__)

    def _score(self, running: _Running, made: Sequence[Made]) -> None:
        model = made[0].model
        mine = [one for one in made if one.model == model]
        common = self._common(running, model, mine[0].kind)
        if isinstance(common, str):
            running.unread, running.why = running.unread + len(mine), common
        else:
            both = _tags(running, common, mine) if running.kind is TAGS else None
            for number, one in enumerate(mine):
                theirs, ours, theirs_yes, ours_yes = (
                    _conversions(running, common, one) if both is None else [part[number] for part in both]
                )
                running.seen.setdefault(common.names, Agreement.empty(common.names)).add(
                    theirs, ours, theirs_yes, ours_yes
                )
                running.scored += 1
                if is_sampled(one.id, self._settings.predictions_share):
                    running.waiting.append(_kept(one, common, theirs, ours))
        if rest := [one for one in made if one.model != model]:
            self._score(running, rest)

    def _write(self, running: _Running) -> None:
        if pointed_shadow(self._settings, running.kind) not in (None, running.pointed):
            return  # another one runs by now, and what this one saw is deleted
        running.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        waiting, running.waiting = running.waiting, []
        if waiting:
            running.kept.add(waiting, self._refused, _MOST_KEPT)
        state = {
            "scored": running.scored,
            "dropped": self._dropped,
            "unread": running.unread,
            "why": running.why,
            "agreement": [seen.as_dict() for seen in running.seen.values()],
        }
        write_durably(running.folder / self._name, json.dumps(state))

    def _refused(self) -> AbstractSet[str]:
        return self._silent | self._rights.refused()


Both = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]


def _tags(running: _Running, common: Comparable, made: Sequence[Made]) -> Any:
    """Return scores and assignments of both, each [n, 1, K]."""
    rows = np.stack([one.features for one in made])[:, common.columns]
    theirs = np.stack([one.scores for one in made if one.scores is not None])[:, common.theirs]
    ours = running.bundle.model.predict(np.ascontiguousarray(rows))[:, common.ours]
    # A tag that the person deleted is inferred by neither.
    ours = np.where(np.isnan(theirs), np.nan, ours)
    return tuple(part[:, None] for part in (theirs, ours, theirs >= common.theirs_at, ours >= common.ours_at))


def _conversions(running: _Running, common: Comparable, made: Made) -> Both:
    """Return probabilities of both, [candidates, K], and which candidate is the best of the request."""
    ours = running.bundle.model.predict(np.ascontiguousarray(made.features[:, common.columns]))[:, common.ours]
    said = [[candidate.probabilities[name] for name in common.names] for candidate in made.answer]
    theirs = np.array(said, np.float64)
    return theirs, ours, _best(theirs), _best(ours)


def _best(chances: NDArray[np.float64]) -> NDArray[np.bool_]:
    best = np.zeros(chances.shape, bool)
    if len(chances) > 1:
        best[chances.argmax(axis=0), np.arange(chances.shape[1])] = True
    return best


def _kept(made: Made, common: Comparable, theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> Scored:
    rows = ("",) if made.kind == "tags" else tuple(candidate.note for candidate in made.answer)
    scores = (np.ascontiguousarray(one, np.float32) for one in (theirs, ours))
    return Scored(made.id, made.person, made.as_of, made.filled_at, made.model, common.names, rows, *scores)
