"""Arms of a trial: one control, and one or several treated ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError

Codes = NDArray[np.int64]
_SAY_CONTROL: Final = (
    "no ",
    "no-",
    "no_",
    "none",
    "control",
    "hold_out",
    "holdout",
    "hold-out",
    "placebo",
)


@dataclass(frozen=True)
class Arms:
    """The values that stand for the arms, as the trial writes them.

    Parameters
    ----------
    control
        Value of the people who were shown nothing.
    treated
        Values of the others, ascending.
    """

    control: Any
    treated: tuple[Any, ...]

    def __len__(self) -> int:
        return 1 + len(self.treated)

    def codes(self, treatment: NDArray[Any]) -> Codes:
        """Return 0 for the control and 1, 2, … for the treated arms.

        Raises
        ------
        TrainingError
            A value is none of the arms.
        """
        codes = np.full(len(treatment), -1, np.int64)
        for code, value in enumerate((self.control, *self.treated)):
            codes[treatment == value] = code
        if (codes < 0).any():
            unknown = treatment[np.argmin(codes)]
            raise TrainingError("no such arm", value=unknown, valid=(self.control, *self.treated))
        return codes


def find_arms(treatment: NDArray[Any], control: Any = None) -> Arms:
    """Find the arms of a trial, and which of them is the control.

    Parameters
    ----------
    treatment
        Arm of each person: numbers, truth values or texts.
    control
        Which of them is the control. Where it is left out, 0 or False is, or the one text that says so by its
        first word (``control``, ``hold_out``, ``No E-Mail``).

    Raises
    ------
    TrainingError
        There are fewer than two arms, or the control cannot be told.

    Examples
    --------
    >>> find_arms(np.array(["No E-Mail", "Mens E-Mail", "Womens E-Mail", "Mens E-Mail"]))
    Arms(control='No E-Mail', treated=('Mens E-Mail', 'Womens E-Mail'))
    >>> find_arms(np.array([0, 1, 1]), control=1)
    Arms(control=1, treated=(0,))
    """
    values = np.unique(treatment).tolist()
    if len(values) < 2:
        raise TrainingError(
            "a trial has at least two arms, this one has one", value=values, next_step="name another column"
        )
    found = [value for value in values if (_says_control(value) if control is None else _same(value, control))]
    if len(found) != 1:
        raise TrainingError(
            "which arm is the control cannot be told" if control is None else "no arm has the control's value",
            value=control,
            valid=values,
            next_step="name the value of the people who were shown nothing",
        )
    return Arms(found[0], tuple(value for value in values if value != found[0]))


def _says_control(value: Any) -> bool:
    return value.lower().startswith(_SAY_CONTROL) if isinstance(value, str) else value == 0


def _same(value: Any, control: Any) -> bool:
    """Whether a value is meant: on a command line everything is text, and 0 may be 0.0 in the file."""
    if not isinstance(control, str) or isinstance(value, str):
        return bool(value == control)
    try:
        return bool(float(control) == value)
    except ValueError:
        return str(value) == control
