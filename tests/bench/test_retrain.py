from __future__ import annotations

from typing import Any

import pytest

from bench.retrain import compared
from bench.retrain_run import Watch


def size(seconds: float, **cpu: float) -> dict[str, Any]:
    steps = {name: {"seconds": own, "cpu_seconds": own, "peak_mb": 100.0} for name, own in cpu.items()}
    whole = {"seconds": seconds, "cpu_seconds": sum(cpu.values()), "peak_mb": 2048.0}
    return {"whole": whole, "steps": steps}


def test_the_step_that_grows_fastest_is_named_and_small_ones_are_not() -> None:
    found = compared({
        50_000: size(100, check=10, train=20, report=0.01),
        100_000: size(300, check=20, train=80, report=0.1),
        200_000: size(1_200, check=40, train=320, report=0.9),
    })  # fmt: skip
    assert found["growth"] == {"train": 2.0, "check": 1.0}
    assert found["fastest_growing"] == "train"
    assert found["growth_peak_mb"] == pytest.approx(0, abs=1e-9)
    assert (found["minutes_200k"], found["peak_gib_200k"]) == (20.0, 2.0)


def test_one_size_has_no_growth_and_another_size_not_the_goals_figures() -> None:
    found = compared({5_000: size(10, check=1)})
    assert set(found) == {"days", "sizes"}


def test_a_stretch_has_what_was_seen_in_it() -> None:
    watch = Watch(
        [0.0, 1.0, 2.0, 3.0, 4.0],
        [0.0, 2.0, 4.0, 4.0, 5.0],
        [10.0, 90.0, 30.0, 20.0, 20.0],
        [5.0, 50.0, 9.0, 8.0, 7.0],
    )
    assert watch.between(1.5, 3.5) == {"seconds": 2.0, "cpu_seconds": 1.5, "peak_mb": 30, "peak_anonymous_mb": 9}
    assert watch.between(3.4, 3.45)["peak_mb"] == 20
