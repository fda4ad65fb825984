"""What a challenger must not be worse at, each with a margin below which nobody would notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.gates.check import Check, Status
from training.gates.promotion_contest import Contest, Drawn

FAMILY_LEVEL: Final = 0.95
"""Of all slices together, and of all tags together: one of twenty harmless challengers may fail each family."""
SLICE_MARGIN: Final = 0.02
TAG_MARGIN: Final = 0.05
CALIBRATION_MARGIN: Final = 0.1
"""Calibration error that may be added, as share of the base rate."""
SLOPE_MARGIN: Final = 0.1
JACCARD_FLOOR, JACCARD_LOW = 0.3, 0.6
LATENCY_MOST, LATENCY_MUCH = 2.0, 1.5
SIZE_MOST, SIZE_MUCH = 3.0, 1.5
_STAYS: Final = "the champion stays"


@dataclass(frozen=True)
class Cost:
    """What two bundles cost, champion first.

    Parameters
    ----------
    seconds
        Median CPU seconds for the golden rows.
    size
        Bytes on disk.
    """

    seconds: tuple[float, float]
    size: tuple[int, int]


def calibration(contest: Contest) -> Check:
    """Check that probabilities mean what they say at least as well as before."""
    rate = float(contest.labels.mean())
    error, distance = contest.calibration, contest.slope_distance
    low, low_slope = (float(drawn.interval(FAMILY_LEVEL)[0][0]) for drawn in (error, distance))
    off, slope = float(error.value[0]), float(distance.value[0])
    before, after = contest.slopes
    bad = (off > CALIBRATION_MARGIN * rate and low > 0) or (slope > SLOPE_MARGIN and low_slope > 0)
    said = (
        f"calibration error {100 * off / rate:+.1f} % of the base rate, slope {after:.2f} after {before:.2f}"
        f"{', worse beyond noise' if bad else ''}"
    )
    evidence = {"error_added": off, "low": low, "slope": after, "champion_slope": before, "slope_low": low_slope}
    return Check("calibration", "FAIL" if bad else "PASS", said, int(bad), (), evidence, _STAYS if bad else "")


def bad_slices(contest: Contest) -> Check:
    """Check that no slice of people or pairs pays for the others."""
    return _family("worst-slice", "slices", tuple(contest.slices), contest.by_slice, SLICE_MARGIN)


def bad_columns(contest: Contest) -> Check:
    """Check that no single tag or target pays for the others."""
    return _family("tag-floor", "tags", contest.columns, contest.by_column, TAG_MARGIN)


def _family(name: str, things: str, names: Sequence[str], worse: Drawn, margin: float) -> Check:
    low = worse.lower_together(FAMILY_LEVEL)
    fails = np.flatnonzero((low > 0) & (worse.value > margin))
    doubtful = np.flatnonzero(worse.value > margin)
    status: Status = "FAIL" if len(fails) else "WARN" if len(doubtful) else "PASS"
    named = fails if len(fails) else doubtful
    worst = int(np.argmax(worse.value))
    told = {
        "FAIL": f"{len(fails)} of {len(names)} {things} worse by more than {100 * margin:g} %, beyond noise",
        "WARN": f"{len(doubtful)} of {len(names)} {things} worse by more than {100 * margin:g} %, within noise",
        "PASS": f"none of {len(names)} {things} worse by more than {100 * margin:g} %",
    }
    examples = tuple(f"{names[n]}: log loss {100 * worse.value[n]:+.1f} %" for n in _worst_first(named, worse))
    evidence = {"worst": float(worse.value[worst]), "worst_low": float(low[worst]), "margin": margin}
    said = f"{told[status]}; worst {names[worst]} {100 * worse.value[worst]:+.1f} %"
    return Check(name, status, said, len(named), examples, evidence, _STAYS if len(fails) else "")


def _worst_first(numbers: np.ndarray[tuple[int], np.dtype[np.int64]], worse: Drawn) -> list[int]:
    return sorted((int(n) for n in numbers), key=lambda n: -worse.value[n])


def stability(contest: Contest) -> Check:
    """Check that most of those who are acted on stay the same, so that audiences do not turn over with a model."""
    before, after = contest.chosen or (np.zeros((0, 0), bool), np.zeros((0, 0), bool))
    either = int((before | after).sum())
    jaccard = int((before & after).sum()) / either if either else 1.0
    status: Status = "FAIL" if jaccard < JACCARD_FLOOR else "WARN" if jaccard < JACCARD_LOW else "PASS"
    said = (
        f"{100 * jaccard:.0f} % of the people that either model chooses are chosen by both; "
        f"{int(after.sum()):,} chosen after {int(before.sum()):,}"
    )
    evidence = {"jaccard": jaccard, "before": float(before.sum()), "after": float(after.sum())}
    changed = int((before != after).sum())
    return Check("stability", status, said, changed, (), evidence, _STAYS if status == "FAIL" else "")


def cost_checks(cost: Cost) -> tuple[Check, Check]:
    """Check that the challenger is not much slower or larger."""
    slower = cost.seconds[1] / max(cost.seconds[0], 1e-9)
    larger = cost.size[1] / max(cost.size[0], 1)
    return (
        _cost_check(
            "latency", slower, LATENCY_MUCH, LATENCY_MOST,
            f"golden rows take {1e3 * cost.seconds[1]:.2f} ms of CPU after {1e3 * cost.seconds[0]:.2f}",
        ),
        _cost_check(
            "bundle-size", larger, SIZE_MUCH, SIZE_MOST,
            f"{cost.size[1] / 1e6:.1f} MB after {cost.size[0] / 1e6:.1f}",
        ),
    )  # fmt: skip


def _cost_check(name: str, ratio: float, much: float, most: float, said: str) -> Check:
    status: Status = "FAIL" if ratio > most else "WARN" if ratio > much else "PASS"
    step = "train with fewer trees, or force the promotion" if status == "FAIL" else ""
    return Check(name, status, f"{said}, × {ratio:.2f}", int(ratio > most), (), {"ratio": ratio}, step)
