"""A challenger serves only where it is better beyond noise and worse at nothing that is guarded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from features.days import DAY_SECONDS
from features.errors import TrainingError
from training.gates.check import Check, Status
from training.gates.promotion import PRIMARY, Policy, Sides, Verdict, judge
from training.gates.promotion_contest import Contest, Drawn, Mask
from training.gates.promotion_guards import Cost
from training.quality.bootstrap import paired_bootstrap
from training.quality.calibration import fit_platt, sigmoid
from training.quality.metrics import Floats, expected_calibration_error

PEOPLE, TAGS = 800, 6
RNG = np.random.default_rng(11)
TRUTH = RNG.normal(-1.5, 1.2, (PEOPLE, TAGS))
LABELS = (RNG.random((PEOPLE, TAGS)) < sigmoid(TRUTH)).astype(np.uint8)
DIM = TRUTH + 1.2 * RNG.standard_normal(TRUTH.shape)
CHAMPION = fit_platt(DIM, LABELS).apply(DIM)
BETTER = sigmoid(TRUTH)
SIDES = Sides("tags-old", "tags-new", 0, 0, 0, 30 * DAY_SECONDS)


def contest(challenger: Floats, champion: Floats = CHAMPION, slices: Mapping[str, Mask] | None = None) -> Contest:
    columns = tuple(f"t{number}" for number in range(TAGS))
    chosen = (champion >= 0.3, challenger >= 0.3)
    return Contest(columns, LABELS, champion, challenger, np.arange(PEOPLE), slices or {}, chosen)


def found(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.report.checks if check.name == name)


def test_a_better_model_serves_and_its_reverse_does_not() -> None:
    verdict = judge(contest(BETTER), SIDES)
    assert verdict.promote
    assert verdict.primary.high < 0
    assert "tags-new may serve: better-than-champion: log loss of pairs +" in verdict.reason
    back = judge(contest(CHAMPION, BETTER), SIDES)
    assert not back.promote
    assert found(back, PRIMARY).status == "FAIL"
    assert back.primary.difference == pytest.approx(-verdict.primary.difference)


def test_the_primary_figure_is_the_paired_bootstraps() -> None:
    ours = judge(contest(BETTER), SIDES, Policy(level=0.95)).primary
    other = paired_bootstrap(LABELS, BETTER, CHAMPION, resamples=400, seed=3)["log_loss"]
    assert ours.difference == pytest.approx(other.difference)
    assert [ours.low, ours.high] == pytest.approx([other.low, other.high], rel=0.1)


def test_people_are_drawn_with_all_their_rows() -> None:
    # Every pair as a row of its own person says too much; as rows of one person it says what the matrix says.
    flat = Contest(
        ("all",), LABELS.reshape(-1, 1), CHAMPION.reshape(-1, 1), BETTER.reshape(-1, 1),
        np.repeat(np.arange(PEOPLE), TAGS),
    )  # fmt: skip
    whole = contest(BETTER)
    np.testing.assert_allclose(flat.primary.value, whole.primary.value)
    np.testing.assert_allclose(flat.primary.draws, whole.primary.draws)


def test_a_model_that_overstates_is_stopped_though_it_ranks_better() -> None:
    overstated = np.minimum(1.3 * BETTER, 0.999)
    verdict = judge(contest(overstated), SIDES)
    assert not verdict.promote
    check = found(verdict, "calibration")
    assert check.status == "FAIL"
    gaps = [expected_calibration_error(LABELS.ravel(), p.ravel()) for p in (overstated, CHAMPION)]
    assert check.evidence["error_added"] == pytest.approx(gaps[0] - gaps[1])


def test_a_slope_is_compared_with_its_noise() -> None:
    steep = contest(sigmoid(2.0 * TRUTH), BETTER)
    assert steep.slopes == pytest.approx((1.0, 0.5), abs=0.08)
    low, high = steep.slope_distance.interval(0.95)
    assert low[0] > 0.3
    assert high[0] < 0.6


@pytest.mark.parametrize("of_pairs", [False, True])
def test_one_bad_slice_stops_a_better_model(of_pairs: bool) -> None:
    bad = np.arange(PEOPLE) % 5 == 0
    mask = np.repeat(bad[:, None], TAGS, axis=1) if of_pairs else bad
    spoilt = np.where(bad[:, None], BETTER[::-1], BETTER)
    slices = {"platform: red": mask, "platform: blue": ~mask}
    verdict = judge(contest(spoilt, slices=slices), SIDES)
    assert not verdict.promote
    check = found(verdict, "worst-slice")
    assert (check.status, check.count) == ("FAIL", 1)
    assert check.examples[0].startswith("platform: red: log loss +")
    assert judge(contest(BETTER, slices=slices), SIDES).promote


def test_one_bad_tag_stops_a_better_model() -> None:
    spoilt = BETTER.copy()
    spoilt[:, 2] = LABELS[:, 2].mean()
    check = found(judge(contest(spoilt, champion=0.5 * CHAMPION + 0.5 * BETTER), SIDES), "tag-floor")
    assert (check.status, check.count) == ("FAIL", 1)
    assert check.examples[0].startswith("t2")


def test_an_equal_model_serves_only_where_the_policy_or_its_age_says_so() -> None:
    same = contest(BETTER * 0.9999, BETTER)
    assert not judge(same, SIDES).promote
    assert judge(same, SIDES, Policy(promote_if="not_worse")).promote
    fresher = replace(SIDES, challenger_as_of=60 * DAY_SECONDS, start=60 * DAY_SECONDS)
    verdict = judge(same, fresher)
    assert verdict.promote
    assert "it knows 60 days more" in found(verdict, PRIMARY).said
    assert not judge(contest(CHAMPION, BETTER), fresher).promote


@pytest.mark.parametrize(
    ("seconds", "size", "statuses"),
    [
        ((1.0, 1.2), (10, 12), ("PASS", "PASS")),
        ((1.0, 1.6), (10, 20), ("WARN", "WARN")),
        ((1.0, 2.1), (10, 31), ("FAIL", "FAIL")),
    ],
)
def test_a_slow_or_large_challenger_is_stopped(
    seconds: tuple[float, float], size: tuple[int, int], statuses: tuple[Status, Status]
) -> None:
    verdict = judge(contest(BETTER), SIDES, cost=Cost(seconds, size))
    assert (found(verdict, "latency").status, found(verdict, "bundle-size").status) == statuses
    assert verdict.promote == ("FAIL" not in statuses)


def test_audiences_that_turn_over_stop_a_better_model() -> None:
    turned = replace(contest(BETTER), chosen=(CHAMPION >= 0.3, BETTER < 0.2))
    verdict = judge(turned, SIDES)
    assert found(verdict, "stability").status == "FAIL"
    assert not verdict.promote


def test_the_first_champion_must_beat_a_baseline_and_is_only_told_the_rest() -> None:
    rates = np.tile(LABELS.mean(axis=0), (PEOPLE, 1))
    overstated = np.minimum(1.3 * BETTER, 0.999)
    verdict = judge(contest(overstated, rates), SIDES, first=True)
    assert verdict.promote
    assert found(verdict, "calibration").status == "WARN"
    assert not judge(contest(np.full_like(rates, 0.5), rates), SIDES, first=True).promote


def test_a_window_that_one_of_them_knows_is_refused() -> None:
    with pytest.raises(TrainingError, match="a window that neither of them knows: 0; valid: 1 or later"):
        judge(contest(BETTER), replace(SIDES, champion_as_of=1))


def test_tables_of_different_shapes_are_refused() -> None:
    with pytest.raises(TrainingError, match="on the same rows and tags only"):
        contest(BETTER[:, :2])
    with pytest.raises(TrainingError, match="no such rule of promotion: 'newer'; valid: better, not_worse"):
        Policy(promote_if="newer")  # type: ignore[arg-type]


def test_bounds_of_a_family_hold_together() -> None:
    # Of 40 harmless guards at 95 % each, 2 would fail; together they fail once in twenty.
    rng = np.random.default_rng(4)
    fails = 0
    for _ in range(60):
        value = rng.standard_normal(40)
        drawn = Drawn(value, value + rng.standard_normal((1_000, 40)))
        fails += bool((drawn.lower_together(0.95) > 0).any())
    assert fails <= 9


def test_a_verdict_comes_back_from_json() -> None:
    verdict = judge(contest(BETTER), SIDES, cost=Cost((1.0, 1.0), (5, 5)))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.as_dict()))) == verdict
