from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.rights.small_cells import may_be_told

ROWS = st.lists(st.frozensets(st.integers(0, 30), max_size=12), max_size=8)


@given(ROWS, st.integers(1, 10))
def test_nothing_told_and_nothing_left_after_subtraction_is_of_few_people(
    rows: list[frozenset[int]], least: int
) -> None:
    told = may_be_told([len(row) for row in rows], least)
    assert all(len(row) == 0 or len(row) >= least for row, stays in zip(rows, told, strict=True) if stays)
    withheld = [row for row, stays in zip(rows, told, strict=True) if not stays]
    left = frozenset().union(*withheld)
    large = [row for row in rows if len(row) >= least]
    # Whose sums can be had by subtraction: those of the withheld rows together, people in several of them or not.
    assert not withheld or not large or len(left) >= least
    assert len(withheld) != 1 or not large


@given(ROWS, st.integers(1, 10))
def test_nothing_is_withheld_without_need(rows: list[frozenset[int]], least: int) -> None:
    people = [len(row) for row in rows]
    small = sum(0 < count < least for count in people)
    assert may_be_told(people, least).count(False) == small + bool(small and max(people) >= least)
