"""The prediction log: what was answered, kept beside the requests and never in their way.

A request only puts what it has into a bounded queue; one thread writes it to disk, once a second. So a prediction
is no acknowledged event: what was answered in the last second or so before the process is killed is not in the log,
and where the queue is full or the disk has no room, predictions are counted and dropped.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, Self

from features.errors import PredictionLogError, StoreError, ZhongcaoError
from features.rights.ledger import Rights
from features.settings import Settings
from serving.messages.metrics import Metrics
from serving.predictions.files import PredictionFiles
from serving.predictions.ids import day_made, is_sampled, new_id
from serving.predictions.record import Made, Origin, Prediction
from training.bundles.manifest import MANIFEST
from training.code import code_version

_log = logging.getLogger("zhongcao.serving")
FLUSH_SECONDS: Final = 1.0
_QUEUE_BYTES: Final = 64_000_000
_RESERVE_BYTES: Final = 500_000_000
_OFF_SECONDS: Final = 60.0


@dataclass(frozen=True)
class LogCounts:
    """What became of the predictions of one process.

    Parameters
    ----------
    written
        On disk.
    dropped
        In the sample, but lost: the queue was full or the disk took nothing.
    waiting
        Bytes in the queue.
    on
        False while the disk takes nothing.
    """

    written: int
    dropped: int
    waiting: int
    on: bool


class PredictionLog:
    """Names predictions and keeps a sample of them.

    Any number of threads may call it at once.

    Parameters
    ----------
    folder
        Of its files.
    share
        Of predictions that are kept, 0 to 1; which ones follows from their ids.
    days
        How long they are kept.
    features
        Whether the features are kept, too, rather than their hash only.
    manifest
        Model version → SHA-256 of its manifest.
    code
        Version of the code.
    refused
        Whose predictions must not be kept, as of now.
    queue_bytes
        Most bytes that wait to be written.
    reserve_bytes
        Room on the disk that is left to others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        share: float,
        days: int,
        features: bool = False,
        manifest: Callable[[str], str] = lambda _: "",
        code: str = "",
        refused: Callable[[], AbstractSet[str]] = frozenset,
        queue_bytes: int = _QUEUE_BYTES,
        reserve_bytes: int = _RESERVE_BYTES,
    ) -> None:
        self._folder, self._files = folder, PredictionFiles(folder)
        self._share, self._days, self._features = share, days, features
        self._manifest, self._code, self._refused = manifest, code, refused
        self._most, self._reserve = queue_bytes, reserve_bytes
        self._queue: list[Made] = []
        self._waiting = self._written = self._dropped = 0
        self._erased: set[str] = set()
        self._off_until: float | None = None
        self._pruned: date | None = None
        self._queueing, self._writing = Lock(), Lock()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="predictions", daemon=True)

    def keep(self, make: Callable[[str], Made]) -> str:
        """Return the id of a new prediction, and keep the prediction if the sample holds it.

        Parameters
        ----------
        make
            Given the id, returns what to keep; called, at once, for a prediction in the sample only.
        """
        prediction = new_id()
        if is_sampled(prediction, self._share):
            self._put(make(prediction))
        return prediction

    def counts(self) -> LogCounts:
        """Return what became of the predictions so far."""
        with self._queueing:
            return LogCounts(self._written, self._dropped, self._waiting, self._off_until is None)

    def show(self, metrics: Metrics) -> None:
        """Let metrics show the counts."""

        def fates() -> dict[tuple[tuple[str, str], ...], float]:
            counts = self.counts()
            return {(("fate", "written"),): counts.written, (("fate", "dropped"),): counts.dropped}

        metrics.gauge("predictions_sampled", "Predictions of the sample since the start, by fate.", fates)
        on = "1 while the disk takes predictions, 0 while it does not."
        metrics.gauge("prediction_log_on", on, lambda: {(): float(self.counts().on)})

    def erase(self, persons: Sequence[str]) -> int:
        """Delete every prediction of some people for good, also those that wait; see `PredictionFiles.erase`."""
        with self._writing:
            with self._queueing:
                # A request in work may still hand over what it read before.
                self._erased.update(persons)
                waiting = sum(made.person in self._erased for made in self._queue)
            return waiting + self._files.erase(persons)

    def flush(self) -> None:
        """Write what waits, now."""
        with self._writing:
            with self._queueing:
                taken, self._queue, self._waiting = self._queue, [], 0
            written = None
            try:
                written = self._write(taken) if taken else 0
            finally:
                with self._queueing:
                    self._written += written or 0
                    self._dropped += len(taken) if written is None else 0

    def prune(self, today: date) -> None:
        """Delete what is older than it may get, once a day."""
        if self._pruned != today:
            with self._writing:
                self._files.prune(today, self._days)
            self._pruned = today

    def __enter__(self) -> Self:
        if self._share:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._share:
            self._thread.join()

    def _put(self, made: Made) -> None:
        size = made.size
        with self._queueing:
            if self._waiting + size > self._most:
                self._dropped += 1
            else:
                self._queue.append(made)
                self._waiting += size

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(FLUSH_SECONDS)
            try:
                self.prune(datetime.now(UTC).date())
                self.flush()
            except Exception as error:  # the thread must go on, whatever it was
                _log.warning("the prediction log failed: %s", type(error).__name__)

    def _write(self, made: Sequence[Made]) -> int | None:
        """Write predictions; return how many are on disk, None where none can be."""
        if self._off_until is not None and time.monotonic() < self._off_until:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if shutil.disk_usage(self._folder).free < self._reserve:
                raise StoreError(f"the disk has less than {self._reserve // 1_000_000} MB left")
            written = self._files.add(
                made, self._origin, features=self._features, refused=lambda: self._refused() | self._erased
            )
        except (ZhongcaoError, OSError) as error:
            if self._off_until is None:
                said = error.problem if isinstance(error, ZhongcaoError) else error.strerror
                _log.warning("predictions are not kept until the disk takes them again: %s", said)
            self._off_until = time.monotonic() + _OFF_SECONDS
            return None
        if self._off_until is not None:
            self._off_until = None
            _log.warning("predictions are kept again")
        return written

    def _origin(self, made: Made) -> Origin:
        return Origin(
            made.kind,
            made.model,
            self._manifest(made.model),
            self._code,
            made.schema,
            made.source,
            self._share,
        )


def open_prediction_log(settings: Settings, opened: ExitStack) -> PredictionLog:
    """Start keeping predictions as the settings say.

    Parameters
    ----------
    settings
        Where it lies, how much is kept and for how long.
    opened
        Writes what waits, and ends.
    """
    rights = Rights(settings)
    opened.callback(rights.close)
    log = PredictionLog(
        settings.predictions_dir,
        share=settings.predictions_share,
        days=settings.predictions_days,
        features=settings.predictions_features,
        manifest=cache(lambda model: _manifest_hash(settings.bundles_dir / model)),
        code=code_version(),
        refused=rights.refused,
    )
    return opened.enter_context(log)


def read(settings: Settings, prediction: str) -> Prediction:
    """Return a prediction by the id that its answer gave.

    Raises
    ------
    PredictionLogError
        It is no prediction's id, or it is not kept; says what that may come from.
    StoreError
        Its file cannot be read.
    """
    day = day_made(prediction)
    found = PredictionFiles(settings.predictions_dir).get(prediction)
    if found is None:
        age, share = (datetime.now(UTC).date() - day).days, settings.predictions_share
        why = (
            f"of {day.isoformat()} predictions are kept no longer"
            if age > settings.predictions_days
            else (
                "it belongs to the sample, so it was erased, refused or lost, or made by another server"
                if is_sampled(prediction, share)
                else f"it is not in the sample of predictions_share = {share:g}"
            )
        )
        raise PredictionLogError("this prediction is not kept", value=prediction, next_step=why)
    return found


def _manifest_hash(bundle: Path) -> str:
    try:
        return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""
