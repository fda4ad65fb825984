from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import SourceError, TrainingError
from training.uplift.hindsight import hindsight
from training.uplift.trial import read_trial

SMALL = """id,age,town,mail,chance,bought
a,30,Oslo,none,0.5,0
b,,Rome,post,0.25,1
c,50,,post,0.25,0
d,41,Oslo,none,0.5,2
"""


def written(folder: Path, text: str = SMALL) -> Path:
    path = folder / "trial.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_become_numbers(tmp_path: Path) -> None:
    trial = read_trial(written(tmp_path), treatment="mail", outcome="bought", person="id", propensity="chance")
    assert trial.columns == ("age", "town=Oslo", "town=Rome")
    expected = [[30, 1, 0], [np.nan, 0, 1], [50, 0, 0], [41, 1, 0]]
    assert np.array_equal(trial.X, np.array(expected), equal_nan=True)
    assert trial.people.tolist() == ["a", "b", "c", "d"]
    assert (trial.arms.control, trial.arms.treated) == ("none", ("post",))
    assert trial.codes.tolist() == [0, 1, 1, 0]
    assert trial.treatment.tolist() == ["none", "post", "post", "none"]
    assert trial.outcome.tolist() == [0, 1, 0, 2]
    assert trial.propensity is not None
    assert trial.propensity.tolist() == [0.5, 0.25, 0.25, 0.5]


def test_parquet_says_the_same(tmp_path: Path) -> None:
    path = written(tmp_path)
    pd.read_csv(path).to_parquet(tmp_path / "trial.parquet")
    options = {"treatment": "mail", "outcome": "bought", "ignore": ["id"]}
    first, second = (read_trial(file, **options) for file in (path, tmp_path / "trial.parquet"))
    assert first.columns == second.columns
    assert np.array_equal(first.X, second.X, equal_nan=True)
    assert first.people.tolist() == second.people.tolist() == [1, 2, 3, 4]


def test_columns_that_say_nothing_are_named(tmp_path: Path) -> None:
    rows = "\n".join(f"n{n},1,{n % 3},{n % 2},{n % 5}" for n in range(40))
    trial = read_trial(written(tmp_path, f"name,one,x,t,y\n{rows}\n"), treatment="t", outcome="y", control="1")
    assert trial.left_out == {"name": "40 different texts", "one": "the same for everybody"}
    assert (trial.columns, trial.arms.control, trial.arms.treated) == (("x",), 1, (0,))


@pytest.mark.parametrize(
    ("arms", "control", "found"),
    [((0.0, 1.0), "0", 0.0), ((0.0, 1.0), "1", 1.0), ((0, 1), "0.0", 0), ((False, True), "True", True)],
)
def test_the_control_is_named_as_on_a_command_line(
    tmp_path: Path, arms: tuple[float, float], control: str, found: float
) -> None:
    rows = "\n".join(f"{n % 3},{arms[n % 2]},{n % 5}" for n in range(40))
    trial = read_trial(written(tmp_path, f"x,t,y\n{rows}\n"), treatment="t", outcome="y", control=control)
    assert (trial.arms.control, trial.arms.treated) == (found, (arms[0] + arms[1] - found,))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"outcome": "mail"}, "mail"),
        ({"outcome": "bought", "person": "bought"}, "bought"),
        ({"outcome": "bought", "propensity": "mail"}, "mail"),
    ],
)
def test_a_column_is_one_thing(tmp_path: Path, columns: dict[str, str], named: str) -> None:
    with pytest.raises(SourceError, match=f"cannot be two of arm, outcome, person and chance: '{named}'; name a"):
        read_trial(written(tmp_path), treatment="mail", **columns)


def afterwards(people: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    t = rng.integers(0, 2, people)
    visit = (rng.random(people) < 0.2 + 0.1 * t).astype(int)
    return pd.DataFrame(
        {
            "t": t,
            "visit": visit,
            "spend": visit * rng.integers(0, 3, people),
            "page": np.where(visit == 1, "shop", np.where(rng.random(people) < 0.5, "home", "none")),
            "opened": (rng.random(people) < 0.1 + 0.5 * t).astype(int),
            "age": rng.integers(20, 60, people),
            "before": rng.random(people) < 0.3,
        }
    )


def test_what_was_known_only_afterwards_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "trial.csv"
    afterwards().to_csv(path, index=False)
    trial = read_trial(path, treatment="t", outcome="visit")
    assert trial.columns == ("age", "before")
    assert trial.left_out == {
        "spend": "never set without the outcome",
        "page=home": "never set with the outcome",
        "page=none": "never set with the outcome",
        "page=shop": "always set with the outcome",
        "opened": "differs between the arms by more than chance",
    }
    kept = read_trial(path, treatment="t", outcome="visit", keep=["page", "opened"])
    assert kept.columns == ("page=home", "page=none", "page=shop", "opened", "age", "before")


def test_arms_that_were_not_drawn_by_lot_may_differ(tmp_path: Path) -> None:
    path = tmp_path / "trial.csv"
    afterwards().to_csv(path, index=False)
    trial = read_trial(path, treatment="t", outcome="visit", by_lot=False)
    assert trial.columns == ("opened", "age", "before")


def test_few_people_are_no_reason_to_suspect_a_column() -> None:
    y = np.array([1.0, 0.0] * 20)
    assert hindsight(y[:, None], ["copy"], np.arange(40) // 20, y, by_lot=True) == {}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"outcome": "sold"}, "no such column: 'sold'; valid: id, age, town, mail, chance, bought"),
        ({"outcome": "town"}, "something else than numbers, or gaps: 'town'"),
        ({"outcome": "age"}, "something else than numbers, or gaps: 'age'"),
        ({"treatment": "town"}, "somebody's arm is not known: 'row 3'"),
        ({"ignore": ["age", "town", "id", "chance"]}, "no column that was known before"),
    ],
)
def test_unusable_trials_are_refused(tmp_path: Path, changed: dict[str, object], match: str) -> None:
    with pytest.raises(SourceError, match=match):
        read_trial(written(tmp_path), **({"treatment": "mail", "outcome": "bought"} | changed))


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("ann,0,1,3\nbob,1,0,inf\n", "column age holds an infinite number: 'row 2'; leave such values empty"),
        ("ann,0,1,3\nbob,1,-inf,4\n", "column y holds an infinite number: 'row 2'"),
        ("ann,0,1,3\nbob,1,0,4\nann,1,0,3\n", "somebody has more than one row: 'row 3'; put each person into one"),
    ],
)
def test_values_that_no_fit_can_use_are_named_by_their_row(tmp_path: Path, rows: str, match: str) -> None:
    with pytest.raises(SourceError, match=match):
        read_trial(written(tmp_path, "who,t,y,age\n" + rows), treatment="t", outcome="y", person="who")


def test_unknown_control_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no arm has the control's value: 'void'; valid: none, post"):
        read_trial(written(tmp_path), treatment="mail", outcome="bought", control="void")


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", written(tmp_path, "")):
        with pytest.raises(SourceError, match="the trial cannot be read"):
            read_trial(path, treatment="t", outcome="y")
    with pytest.raises(SourceError, match="holds nobody"):
        read_trial(written(tmp_path, "t,y\n"), treatment="t", outcome="y")
