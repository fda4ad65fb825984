"""Gauges of a running server: what waits, which bundles answer, and how old what they read is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from features.errors import StoreError, ZhongcaoError
from serving.champions.served import Served
from serving.guard.workers import Workers
from serving.messages.metrics import Metrics, Samples

_Labels = tuple[tuple[str, str], ...]


def watch(metrics: Metrics, workers: Workers, served: dict[str, Served[Any]]) -> None:
    """Let metrics show the gauges.

    Parameters
    ----------
    metrics
        Where they are shown.
    workers
        What waits for them.
    served
        Kind of bundle → what answers.
    """
    metrics.gauge("requests_open", "Requests admitted and not answered yet.", lambda: {(): workers.open})
    wait = "Seconds that a request would wait for its turn now, as estimated; what would wait longer is refused."
    metrics.gauge("wait_seconds", wait, lambda: {(): workers.wait()})
    for name, meaning, value in _OF_BUNDLES:
        metrics.gauge(name, meaning, _samples(served, name, value))


def _samples(served: dict[str, Served[Any]], name: str, value: Callable[[Any], float]) -> Samples:
    def samples() -> dict[_Labels, float]:
        return dict(_each(served.items(), name, value))

    return samples


def _each(
    served: Iterable[tuple[str, Served[Any]]], name: str, value: Callable[[Any], float]
) -> Iterable[tuple[_Labels, float]]:
    for kind, held in served:
        now = held.now
        if isinstance(now, ZhongcaoError):
            continue
        labels: _Labels = (("kind", kind),)
        if name == "model_info":
            labels += (("version", now.bundle.version),)
        try:
            yield labels, value(now)
        except StoreError:
            # What cannot be read has no age; `/readyz` says why.
            continue


def _rows_as_of(scorer: Any) -> float:
    return float(scorer.store.describe().as_of)


_OF_BUNDLES: Final[tuple[tuple[str, str, Callable[[Any], float]], ...]] = (
    ("model_info", "1 for each bundle that answers.", lambda _: 1.0),
    ("model_as_of_seconds", "Instant of the bundle's knowledge, epoch seconds.", lambda it: float(it.bundle.as_of)),
    ("rows_as_of_seconds", "Instant of what the store was filled with, epoch seconds.", _rows_as_of),
)
