"""A booster as the text that LightGBM writes of it: reading it is put off until it has to predict."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, TypeAlias

import lightgbm as lgb


class SavedBooster:
    r"""Stands for a booster that is written, counted or scored by the compact scorer, and seldom asked to predict.

    LightGBM takes some milliseconds to read a head and as many to write it: seconds for hundreds of them.

    Parameters
    ----------
    text
        What `Booster.model_to_string` returned.

    Examples
    --------
    >>> SavedBooster("tree\nmax_feature_idx=4\n").num_feature()
    5
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def model_to_string(self) -> str:
        """Return the text, as it was given."""
        return self._text

    def num_feature(self) -> int:
        """Return the number of columns that the booster reads."""
        _, _, rest = self._text.partition("\nmax_feature_idx=")
        return int(rest.partition("\n")[0]) + 1

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict as `lightgbm.Booster.predict` does."""
        return self._booster.predict(*args, **kwargs)

    @cached_property
    def _booster(self) -> lgb.Booster:
        return lgb.Booster(model_str=self._text)


AnyBooster: TypeAlias = lgb.Booster | SavedBooster
"""A booster in memory, or as its text."""


def booster_text(booster: AnyBooster) -> str:
    """Return a booster's text without the number of threads that trained it, which does not change its trees."""
    return re.sub(r"\[num_threads: \d+\]", "[num_threads: 1]", str(booster.model_to_string()))
