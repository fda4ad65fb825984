"""A trial as a table: one row per person with what was known before, the arm, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import SourceError
from training.quality.metrics import Floats
from training.uplift.arms import Arms, Codes, find_arms
from training.uplift.base import Matrix
from training.uplift.hindsight import hindsight

MOST_TEXTS: Final = 16
"""A column of texts with more different ones is left out."""


@dataclass(frozen=True)
class Trial:
    """What learners are fitted on.

    Parameters
    ----------
    people
        Keys of the people, or their rows' numbers from 1.
    columns, X
        What was known before the treatment, float64 [n, columns]; NaN where unknown.
    arms, codes
        The arms, and the arm of each person: 0 is the control.
    outcome
        What came of it.
    propensity
        Known chance of the treated arm [n]; None where the arms' shares are meant.
    left_out
        Columns that are not used → why.
    """

    people: NDArray[Any]
    columns: tuple[str, ...]
    X: Matrix
    arms: Arms
    codes: Codes
    outcome: Floats
    propensity: Floats | None
    left_out: dict[str, str]

    @property
    def treatment(self) -> NDArray[Any]:
        """The arm of each person, as the trial names it."""
        return np.array([self.arms.control, *self.arms.treated], dtype=object)[self.codes]


def read_trial(
    path: Path,
    *,
    treatment: str,
    outcome: str,
    control: Any = None,
    person: str | None = None,
    propensity: str | None = None,
    ignore: Collection[str] = (),
    keep: Collection[str] = (),
    by_lot: bool = True,
) -> Trial:
    """Read a trial from a CSV or Parquet file, one row per person.

    Every other column is used, if it can be: numbers as they are, texts of at most 16 kinds as one column each.

    Parameters
    ----------
    path
        The file.
    treatment, outcome
        Columns of the arm and of the outcome (a number).
    control
        Value of the control arm; None finds it.
    person
        Column of the people's keys.
    propensity
        Column of the known chance of being treated.
    ignore
        Columns that are not to be used, such as other outcomes.
    keep
        Columns to be used though they look as if they were known only afterwards.
    by_lot
        Whether the arms were drawn at random.

    Raises
    ------
    SourceError
        The file cannot be read, has no such column, one is named for two things, the outcome holds something else
        than numbers, a number is infinite, or somebody has several rows.
    TrainingError
        The arms cannot be told apart.
    """
    if outcome in {treatment, propensity, person} or treatment in {propensity, person}:
        raise SourceError(
            "one column cannot be two of arm, outcome, person and chance",
            value=outcome if outcome in {treatment, propensity, person} else treatment,
            next_step="name a column of its own for each",
        )
    table = _read(path)
    named = [treatment, outcome, *(name for name in (person, propensity) if name), *ignore, *keep]
    missing = [name for name in named if name not in table.columns]
    if missing:
        raise SourceError("the trial has no such column", value=missing[0], valid=list(table.columns))
    if table[treatment].isna().any():
        row = int(table[treatment].isna().to_numpy().argmax()) + 1
        raise SourceError("somebody's arm is not known", value=f"row {row}", next_step="leave such rows out")
    values = table[treatment].to_numpy()
    arms = find_arms(values.astype(str) if values.dtype == object else values, control)
    came = _numbers(table, outcome)
    if person is not None and table[person].duplicated().any():
        row = int(table[person].duplicated().to_numpy().argmax()) + 1
        # One part of such a person would be measured by a fit that saw the other.
        raise SourceError(
            "somebody has more than one row", value=f"row {row}", next_step="put each person into one row"
        )
    columns, X, left_out = _columns(table.drop(columns={*named} - {*keep}))
    codes = arms.codes(values)
    doubtful = hindsight(X, columns, codes, came, by_lot=by_lot and propensity is None)
    doubtful = {name: why for name, why in doubtful.items() if name.partition("=")[0] not in keep}
    used = [place for place, name in enumerate(columns) if name not in doubtful]
    if not used:
        raise SourceError("the trial has no column that was known before the treatment", value=list(table.columns))
    return Trial(
        people=np.arange(1, len(table) + 1) if person is None else table[person].to_numpy(),
        columns=tuple(columns[place] for place in used),
        X=X[:, used],
        arms=arms,
        codes=codes,
        outcome=came,
        propensity=None if propensity is None else _numbers(table, propensity),
        left_out=left_out | doubtful,
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"the trial cannot be read: {error}", value=str(path)) from error
    if table.empty:
        raise SourceError("the trial holds nobody", value=str(path))
    # One kind of text everywhere, whatever the reader made of it.
    return table.astype({name: object for name in table.columns if not _is_number(table[name])})


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _numbers(table: pd.DataFrame, name: str) -> Floats:
    column = table[name]
    if not _is_number(column) or column.isna().any():
        raise SourceError(
            "this column holds something else than numbers, or gaps", value=name, next_step="leave such rows out"
        )
    return _finite(name, column)


def _finite(name: str, column: pd.Series[Any]) -> Floats:
    """Return a column as floats, gaps as NaN."""
    values = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax()) + 1
        raise SourceError(
            f"column {name} holds an infinite number", value=f"row {row}", next_step="leave such values empty"
        )
    return values


def _columns(table: pd.DataFrame) -> tuple[list[str], Matrix, dict[str, str]]:
    names, parts, left_out = [], [np.empty((len(table), 0))], {}
    for name in map(str, table.columns):
        column = table[name]
        kinds = column.dropna().unique()
        if len(kinds) < 2 and not column.isna().any():
            left_out[name] = "the same for everybody"
        elif _is_number(column):
            names.append(name)
            parts.append(_finite(name, column)[:, None])
        elif len(kinds) > MOST_TEXTS:
            left_out[name] = f"{len(kinds):,} different texts"
        else:
            for kind in sorted(kinds, key=str):
                names.append(f"{name}={kind}")
                parts.append((column == kind).to_numpy(np.float64)[:, None])
    return names, np.concatenate(parts, axis=1), left_out
