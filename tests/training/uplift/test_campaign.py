from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.errors import TrainingError
from tests.training.contribution.small_notes import DAY, START, Row, event, link, log_of
from training.uplift.campaign import campaign_trial

PEOPLE = 12
END = START + 20 * DAY


def said(n: int, arm: str) -> Row:
    at = START - 30 * DAY
    return {
        "campaign": "c", "platform": "content", "account": f"a{n}", "arm": arm, "valid_from": at, "arrived_at": at,
    }  # fmt: skip


def small_log(*, logged: bool = False, assigned: bool = True, later: list[Row] | None = None) -> dict[str, Any]:
    """People 0 to 11: even ones treated, odd ones held out; 0 to 5 clicked on the brand before; 0 and 1 buy."""
    brand: Row = {"brand": "b", "category": "tea"}
    events: list[Row] = []
    for n in range(PEOPLE):
        events.append(event("impression", f"a{n}", -9, note="old", **brand))
        if n < 6:
            events += [event("click", f"a{n}", -9 + 0.1 * k, note="old", **brand) for k in range(n + 1)]
        if n < 10:
            kept = n % 2 and logged
            shown: Row = {"policy": "hold_out:c"} if kept else {"campaign": "c"}
            if logged or not n % 2:
                events.append(event("impression", f"a{n}", 2, note="ad", cost_micros=1, **shown))
    for n in (0, 1):
        # The first of the two orders comes before the ad.
        events += [event("purchase", f"s{n}", day, order=f"o{n}-{day}", amount=700, **brand) for day in (1, 5)]
    about = {"campaign": "c", "brand": "b", "starts_at": START, "ends_at": START + 10 * DAY - 1}
    return log_of(
        [*events, *(later or [])],
        links=[link(f"{kind}{n}", f"p{n:02}") for n in range(PEOPLE) for kind in "as"],
        campaigns=[about],
        assignments=[said(n, "hold_out" if n % 2 else "treated") for n in range(PEOPLE) if assigned],
    )


def trial_of(log: dict[str, Any], **more: Any) -> Any:
    tables = (log[name] for name in ("events", "identities", "assignments", "campaigns"))
    return campaign_trial(*tables, **({"campaign": "c", "known_at": END} | more))


def test_everybody_assigned_counts_from_the_start() -> None:
    trial = trial_of(small_log())
    assert trial.people.tolist() == [f"p{n:02}" for n in range(PEOPLE)]
    assert trial.codes.tolist() == [1, 0] * 6
    assert trial.outcome.tolist() == [2, 2] + [0] * 10
    assert trial_of(small_log(), outcome="revenue").outcome.tolist() == [1400, 1400] + [0] * 10


def test_where_withheld_ads_are_logged_people_count_from_their_first_one() -> None:
    trial = trial_of(small_log(logged=True))
    assert trial.people.tolist() == [f"p{n:02}" for n in range(10)]
    assert trial.codes.tolist() == [1, 0] * 5
    assert trial.outcome.tolist() == [1, 1] + [0] * 8


def test_columns_are_the_wide_row_and_what_is_known_of_the_brand() -> None:
    trial = trial_of(small_log())
    clicks = [n + 1 if n < 6 else 0 for n in range(PEOPLE)]
    for name in ("click_count_30d", "click_count_30d@category"):
        assert trial.X[:, trial.columns.index(name)].tolist() == clicks
    assert trial.X[:, trial.columns.index("before_brand_clicks")] == pytest.approx(np.log1p(clicks))


def test_columns_know_nothing_of_what_came_after_the_start() -> None:
    later = [event("click", f"a{n}", 0.1 * n, note="n", brand="b", category="tea") for n in range(PEOPLE)]
    late = [event("click", "a3", -1, late=2, note="n", brand="b", category="tea")]
    before, after = trial_of(small_log()), trial_of(small_log(later=later))
    assert before.columns == after.columns
    assert np.array_equal(before.X, after.X, equal_nan=True)
    wide = [place for place, name in enumerate(before.columns) if not name.startswith("before_")]
    arrived = trial_of(small_log(later=late))
    assert np.array_equal(before.X[:, wide], arrived.X[:, wide], equal_nan=True)


@pytest.mark.parametrize(
    ("made", "asked", "match"),
    [
        ({}, {"campaign": "d"}, "no such campaign with a brand, a beginning and an end: 'd'; valid: c"),
        ({}, {"outcome": "likes"}, "no such outcome of a campaign: 'likes'; valid: revenue, purchases, visits"),
        ({"assigned": False}, {}, "has no hold-out"),
        ({}, {"known_at": START - 20 * DAY}, "has no hold-out"),
    ],
)
def test_what_is_no_trial_is_refused(made: dict[str, bool], asked: dict[str, object], match: str) -> None:
    with pytest.raises(TrainingError, match=match):
        trial_of(small_log(**made), **asked)
