from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import TrainingError
from tests.training.contribution.small_notes import DAY, START, Row, event, log_of
from training.policy.logged import Choices, read_choices
from training.policy.targets import by_score, by_weight, from_file, uniform


def slot(account: str, days: float, note: str, propensity: float | None = 0.5, **more: Any) -> Row:
    name = f"{account}-{days}"
    about: Row = {"event_id": name, "note": note, "propensity": propensity, "campaign": "c", "position": 3}
    return event("impression", account, days, **(about | more))


EVENTS = [
    slot("a1", 0.1, "x"),
    slot("a1", 1.1, "y", 0.25),
    slot("a2", 0.2, "z", 0.125, campaign="d"),
    slot("a3", 1.2, "x", 0.75),
    # Held out of c: a house ad came instead of its note, and another time a note of d.
    slot("a4", 0.3, "house", campaign=None, policy="hold_out:c"),
    slot("a4", 0.4, "z", campaign="d"),
    # Organic, and too late for its click to be told.
    slot("a1", 0.5, "x", None),
    slot("a2", 2.5, "x"),
    event("click", "a1", 0.15, note="x"),
    event("click", "a3", 1.3, note="x"),
    event("click", "a3", -3, note="x", category="tea"),
    event("click", "a3", -3, late=5, note="x", category="tea"),
]
KNOWN = START + round(2.8 * DAY)


def choices(events: list[Row] = EVENTS, *, held: str | None = None, **more: Any) -> Choices:
    told: list[Row] = [] if held is None else [
        {"campaign": held, "platform": "content", "account": "a3", "arm": "hold_out", "valid_from": START}
    ]  # fmt: skip
    log = log_of(events, assignments=told)
    tables = [log[name] for name in ("events", "identities", "notes", "assignments")]
    about: dict[str, Any] = {"reward": "click", "start": START, "end": START + 5 * DAY, "known_at": KNOWN}
    return read_choices(*tables, timezone="UTC", **(about | more))


@pytest.fixture(scope="module")
def found() -> Choices:
    return choices()


def test_slots_that_a_policy_filled_are_read_with_what_came_of_them(found: Choices) -> None:
    assert found.event_ids.to_pylist() == ["a1-0.1", "a2-0.2", "a1-1.1", "a3-1.2"]
    assert [found.notes[n] for n in found.logged.action] == ["x", "z", "y", "x"]
    assert found.logged.propensity.tolist() == [0.5, 0.125, 0.25, 0.75]
    assert found.logged.reward.tolist() == [1, 0, 0, 1]
    assert found.logged.person[0] == found.logged.person[2]
    assert len(set(found.logged.person.tolist())) == 3
    # The first day showed x and z, the second x and y.
    assert found.available.tolist() == [[True, False, True]] * 2 + [[True, True, False]] * 2
    assert found.left_out == {"people held out": 2, "their window was not over": 1}


def test_context_is_what_was_known_before(found: Choices) -> None:
    assert found.context[:, 1].tolist() == [3] * 4
    assert found.context[:, 2].tolist() == [2, 4, 2, 4]
    # Of two earlier clicks one arrived only after the first slot.
    assert found.context[:, 4].tolist() == [0, 0, 0, 1]


def test_a_campaign_alone_leaves_other_notes_as_slots_that_its_policy_would_not_show() -> None:
    own = choices(campaign="c")
    assert own.notes == ("x", "y")
    assert own.logged.action.tolist() == [0, 2, 1, 0]
    own = choices(campaign="d")
    # Who is held out of c counts where d is asked of, house ads too; d was shown on the first day alone.
    assert own.event_ids.to_pylist() == ["a1-0.1", "a2-0.2", "a4-0.3", "a4-0.4"]
    assert own.logged.action.tolist() == [1, 0, 1, 0]
    assert own.left_out == {"no note of it was shown that day": 3}


def test_people_held_out_by_assignment_are_left_out_whatever_they_saw() -> None:
    assert "a3-1.2" not in choices(held="c").event_ids.to_pylist()
    assert "a3-1.2" in choices(held="d", campaign="c").event_ids.to_pylist()


def test_people_are_drawn_whole() -> None:
    events = [slot(f"a{n}", 0.01 * k, "xy"[k % 2]) for n in range(20) for k in range(10)]
    drawn = choices(events, most=50)
    assert np.bincount(drawn.logged.person).tolist() == [10] * 5
    assert drawn.left_out == {"people not drawn": 150}
    assert choices(events, most=50, seed=8).event_ids != drawn.event_ids


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(TrainingError, match="no such reward: 'joy'; valid: click"):
        choices(reward="joy")
    with pytest.raises(TrainingError, match="has a propensity: 'e'; valid: c, d; log the probability"):
        choices(campaign="e")
    with pytest.raises(TrainingError, match=r"is left: .*'their window was not over': 5"):
        choices(reward="purchase")


def test_targets_show_what_is_available(found: Choices) -> None:
    assert uniform(found.available).tolist() == [[0.5, 0, 0.5]] * 2 + [[0.5, 0.5, 0]] * 2
    scored = by_score(np.tile([0.2, 0.2, 0.6], (4, 1)), found.available, temperature=1.0, explore=0.2)
    assert scored.sum(axis=1) == pytest.approx(1)
    assert scored[:, 2].tolist()[2:] == [0, 0]
    # 0.4 more at a mean of 0.3 over what is available: e to the 4/3 times as often, but for exploration.
    mean = (0.8 * 2 + 0.4 * 2) / 8
    assert (scored[0, 2] - 0.1) / (scored[0, 0] - 0.1) == pytest.approx(np.exp(0.4 / mean))
    assert by_score(np.zeros((4, 3)), found.available).tolist() == uniform(found.available).tolist()
    with pytest.raises(TrainingError, match="temperature"):
        by_score(np.ones((4, 3)), found.available, temperature=0)
    with pytest.raises(TrainingError, match="2 slots without one"):
        by_weight(np.tile([0.0, 1.0, 0.0], (4, 1)), found.available)


def test_policies_come_from_files(tmp_path: Path, found: Choices) -> None:
    file = tmp_path / "policy.csv"
    file.write_text("note,weight\nx,1\nz,3\ny,1\nunknown,9\n")
    assert from_file(file, found).tolist() == [[0.25, 0, 0.75]] * 2 + [[0.5, 0.5, 0]] * 2
    rows = [(name, "x", 1) for name in found.event_ids.to_pylist()] + [("a2-0.2", "z", 4), ("other", "z", 1)]
    file.write_text("event_id,note,weight\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    assert from_file(file, found).tolist() == [[1, 0, 0], [0.2, 0, 0.8], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("note\nx\n", r"lacks columns: \['weight'\]; valid: note, weight, event_id"),
        ("note,weight\nx,1\nx,2\n", "twice: '1 rows too many'"),
        ("note,weight\nx,much\n", "weights of a policy are numbers: 'string'"),
        ("note,weight\nx,-1\n", "needs a weight above 0"),
        ("note,weight\nx,\n", "needs a weight above 0"),
    ],
)
def test_files_that_are_no_policy_are_refused(tmp_path: Path, found: Choices, text: str, told: str) -> None:
    file = tmp_path / "policy.csv"
    file.write_text(text)
    with pytest.raises(TrainingError, match=told):
        from_file(file, found)
    with pytest.raises(TrainingError, match="no such policy file: 'broad'; valid: uniform, by-score"):
        from_file(Path("broad"), found)
    broken = tmp_path / "policy.parquet"
    broken.write_text("no")
    with pytest.raises(TrainingError, match=r"cannot be read: 'policy\.parquet'"):
        from_file(broken, found)
