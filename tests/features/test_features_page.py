"""The page on features names every measure, condition and function (the test of all docs runs its examples)."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.definitions import CONDITIONS, MEASURES
from features.rows.derived import FUNCTIONS

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


@pytest.mark.parametrize("name", [*MEASURES, *CONDITIONS, *FUNCTIONS])
def test_every_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
