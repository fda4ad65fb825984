from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.days import DAY_SECONDS as DAY
from features.errors import LogTooShortError
from training.splits import mature
from training.tags.auto_plan import Spacing, auto_plan


@pytest.mark.parametrize(
    ("days", "horizon", "rhythm", "train", "choose"),
    [
        (8, 1, 1, [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6]),
        (35, 7, 1, [7, 10, 13, 16, 19, 22, 25, 28], [7, 10, 13, 16, 19]),
        (670, 30, 1, list(range(535, 641, 15)), list(range(505, 611, 15))),
        (35, 7, 7, [7, 14, 21, 28], [7, 14, 21]),
    ],
)
def test_instants_follow_the_span(
    days: int, horizon: int, rhythm: int, train: list[int], choose: list[int]
) -> None:
    plan, _ = auto_plan(0, days * DAY, Spacing(horizon, rhythm_days=rhythm))
    assert [t // DAY for t in plan.train] == train
    assert [t // DAY for t in plan.choose] == choose


def test_a_short_log_takes_the_widest_step_that_leaves_a_window_to_choose_with() -> None:
    plan, said = auto_plan(0, 21 * DAY, Spacing(7))
    assert [t // DAY for t in plan.choose] == [7]
    assert [t // DAY for t in plan.train] == [7, 8, 9, 10, 11, 12, 13, 14]
    assert "1 day apart: half the horizon of 7 days would leave no window" in said[0]


def test_every_choice_is_said_with_its_reason_and_how_to_make_another() -> None:
    _, said = auto_plan(0, 670 * DAY, Spacing(28, rhythm_days=7))
    assert said == (
        "training instants lie 14 days apart: half the horizon of 28 days, in whole rhythms of the log of 7 days; "
        "--step-days N for another step",
        "trained on 8 instants: the latest ones, enough for 5,000 people; --most-instants N for another number",
    )
    assert auto_plan(0, 100 * DAY, Spacing(30), step_days=30, most=5)[1] == (
        "trained on 2 instants, at most 5 as was asked",
    )


def test_what_is_given_is_taken() -> None:
    plan, _ = auto_plan(0, 300 * DAY, Spacing(30), step_days=20, most=3, validation=200 * DAY)
    assert [t // DAY for t in plan.train] == [160, 180, 200]


def test_a_log_that_is_too_short_is_told_a_horizon_that_fits() -> None:
    with pytest.raises(
        LogTooShortError, match=r"holds 50 days .* need 90: .* horizon_days to 16 or less; zhongcao"
    ):
        auto_plan(0, 50 * DAY, Spacing(30))
    with pytest.raises(LogTooShortError, match=r"holds 2 days .* need 3: .*; import more history$"):
        auto_plan(0, 2 * DAY, Spacing(1))
    with pytest.raises(LogTooShortError, match=r"need 110: .*; import more history, or leave the step out$"):
        auto_plan(0, 90 * DAY, Spacing(30), step_days=50)


@pytest.mark.parametrize(
    ("people", "instants"), [(1, 16), (1_000, 16), (2_000, 10), (2_500, 8), (250_000, 8), (400_000, 5), (10**6, 3)]
)
def test_the_number_of_instants_follows_the_number_of_people(people: int, instants: int) -> None:
    plan, said = auto_plan(0, 670 * DAY, Spacing(30, people))
    assert len(plan.train) == len(plan.choose) == instants
    assert f"enough for {people:,} people" in said[1]


@settings(max_examples=100, deadline=None)
@given(
    days=st.integers(0, 400), horizon=st.integers(1, 60), rhythm=st.integers(1, 9), delay=st.integers(0, 3 * DAY)
)
@example(days=21, horizon=7, rhythm=1, delay=0)
def test_three_horizons_are_enough_and_fewer_are_not(days: int, horizon: int, rhythm: int, delay: int) -> None:
    spacing = Spacing(horizon, rhythm_days=rhythm, delay=delay)
    needed = -(-(3 * horizon * DAY + 2 * delay) // DAY)
    try:
        plan, _ = auto_plan(0, days * DAY, spacing)
    except LogTooShortError:
        assert days < needed + 2  # delays that are no whole days cost up to a day at each of two windows
        return
    assert days >= needed
    assert plan.choose
    assert all(mature(t, horizon, delay, plan.validation) for t in plan.choose)
