"""Gauges of live events: how far each reader of the inbox is, and whether it fails again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serving.live.feeder import Feeding
from serving.messages.metrics import Metrics, Samples


def watch_live(metrics: Metrics, feedings: Callable[[], Mapping[str, Feeding]]) -> None:
    """Let metrics show the gauges.

    Parameters
    ----------
    metrics
        Where they are shown.
    feedings
        Tells how far each reader is.
    """

    def of_each(value: Callable[[Feeding], float | None]) -> Samples:
        def samples() -> dict[tuple[tuple[str, str], ...], float]:
            found = {name: value(state) for name, state in feedings().items()}
            return {(("reader", name),): float(said) for name, said in found.items() if said is not None}

        return samples

    for name, meaning, value in (
        ("behind", "Live events that it lacks, 1,000 for more.", lambda state: state.behind),
        ("lag_seconds", "For how long the oldest of them may have waited.", lambda state: state.seconds),
        ("failing", "1 where it takes none; `/readyz` says why.", lambda state: bool(state.problem)),
        ("failures", "Tries that failed in a row.", lambda state: state.failures),
        ("lacks_imports", "1 where it lacks what was imported by file.", lambda state: bool(state.lacks)),
        ("aside", "Live events that it could not take, and is without.", lambda state: state.aside),
    ):
        metrics.gauge(f"live_{name}", meaning, of_each(value))
