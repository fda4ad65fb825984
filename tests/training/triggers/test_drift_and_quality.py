from __future__ import annotations

import numpy as np

from training.triggers.drift import drift, moved
from training.triggers.quality import quality, worse

NAMES = [f"column {number}" for number in range(40)]


def tables(seed: int, shift: float = 0.0, columns: int = 0, grows: bool = False) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    earlier, then, now = (rng.poisson(2.0, (800, len(NAMES))).astype(np.float32) for _ in range(3))
    now[:, :columns] += shift
    if grows:
        then[:, :columns] += shift
        now[:, :columns] += shift
    return earlier, then, now


def test_columns_that_moved_are_named_the_farthest_first() -> None:
    earlier, then, now = tables(1, 2.0, 4)
    now[:, 3] += 3
    found = moved(NAMES, earlier, then, now)
    assert [one.name for one in found][:1] == ["column 3"]
    assert {one.name for one in found} == set(NAMES[:4])
    trigger = drift("drift", "columns", NAMES, (earlier, then, now), "800 people")
    assert trigger.fired
    assert (trigger.evidence["moved"], trigger.evidence["least"]) == (4, 3)
    assert trigger.evidence["farthest"][0]["name"] == "column 3"


def test_two_columns_are_no_reason_yet() -> None:
    trigger = drift("drift", "columns", NAMES, tables(2, 2.0, 2), "800 people")  # type: ignore[arg-type]
    assert not trigger.fired
    assert "2 of 40 columns moved" in trigger.said


def test_what_has_always_grown_is_no_news() -> None:
    assert moved(NAMES, *tables(3, 2.0, 10, grows=True)) == []


def test_columns_that_the_log_was_too_young_to_fill_are_left_out() -> None:
    earlier, then, now = tables(4, 2.0, 5)
    earlier[:, :2] = np.nan
    then[:, 1:3] = np.nan
    assert {one.name for one in moved(NAMES, earlier, then, now)} == {"column 3", "column 4"}
    assert moved(NAMES, np.full_like(earlier, np.nan), then, now) == []


def test_fifty_sound_weeks_fire_never() -> None:
    found = [drift("drift", "columns", NAMES, tables(100 + week), "all") for week in range(50)]  # type: ignore[arg-type]
    assert sum(one.fired for one in found) == 0


def drawn(seed: int, people: int = 1500, heat: float = 1.0, off: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.5, 1.0, (people, 8))
    p = 1 / (1 + np.exp(-logits))
    labels = (rng.random(p.shape) < p).astype(np.uint8)
    said = 1 / (1 + np.exp(-(heat * logits + rng.normal(0, abs(1 - heat), p.shape))))
    return labels, np.minimum(off * said, 0.999)


def test_the_same_quality_is_no_reason_and_worse_is() -> None:
    then, same = quality(*drawn(1)), quality(*drawn(2))
    assert [one.fired for one in worse(then, same)] == [False, False]
    loss, _ = worse(then, quality(*drawn(3, heat=0.2)))
    assert loss.fired
    loss, calibration = worse(then, quality(*drawn(4, off=1.35)))
    assert calibration.fired
    assert "1.3" in calibration.said
    assert calibration.evidence["now"]["people"] == 1500


def test_figures_of_a_window_by_hand() -> None:
    labels, said = np.array([[1], [0], [0], [1]], np.uint8), np.full((4, 1), 0.25)
    found, draws = quality(labels, said, draws=5)
    entropy = -(2 * np.log(0.25) + 2 * np.log(0.75)) / (-4 * np.log(0.5))
    assert np.isclose(found.entropy, entropy)
    assert np.isclose(found.calibration, np.log(1.0 / 2.0))
    assert draws.shape == (5, 2)


def test_few_people_are_no_evidence() -> None:
    loss, calibration = worse(quality(*drawn(5, people=12)), quality(*drawn(6, people=12, off=1.2)))
    assert not loss.fired
    assert not calibration.fired
