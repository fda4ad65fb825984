"""Spines: taking rows, chunks of whole people, shifted instants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FeatureError
from features.spine import spine_of

DAY = 86_400
PEOPLE = {"ann": ["a", "a2"], "bob": ["b"], "cy": []}


def test_rows_are_instants_then_people_by_key() -> None:
    spine = spine_of({"bob": ["b"], "ann": ["a", "a2", "a"]}, [DAY, 0], known_at=5)
    assert list(zip(spine.instants.tolist(), spine.persons, strict=True)) == [
        (DAY, "ann"), (DAY, "bob"), (0, "ann"), (0, "bob")
    ]  # fmt: skip
    assert spine.accounts["account"].to_pylist() == ["a", "a2", "b", "a", "a2", "b"]
    assert spine.rows["known_at"].to_pylist() == [5] * 4


def test_take_numbers_rows_anew_and_keeps_their_accounts() -> None:
    taken = spine_of(PEOPLE, [DAY]).take([1, 0])
    assert taken.rows["row"].to_pylist() == [0, 1]
    assert taken.persons == ["bob", "ann"]
    assert sorted(map(tuple, (pair.values() for pair in taken.accounts.to_pylist()))) == [
        (0, "b"), (1, "a"), (1, "a2")
    ]  # fmt: skip


@given(people=st.integers(0, 9), instants=st.integers(1, 4), size=st.integers(1, 12))
def test_chunks_hold_every_row_once_and_people_whole(people: int, instants: int, size: int) -> None:
    spine = spine_of({f"p{n}": [f"a{n}"] for n in range(people)}, [DAY * n for n in range(instants)])
    parts = list(spine.chunks(size))
    assert sorted(row for rows, _ in parts for row in rows.tolist()) == list(range(len(spine)))
    for rows, part in parts:
        assert part.rows.drop_columns(["row"]).equals(spine.rows.take(rows).drop_columns(["row"]))
        assert len(part) <= max(size, instants)
        assert {part.persons.count(person) for person in part.persons} == {instants}
    assert len(parts) <= -(-people // max(1, size // instants))


def test_shift_moves_instants_and_counts_days_in_the_time_zone() -> None:
    spring = 1_490_486_400  # 2017-03-26 02:00 in Berlin, where the clock has just been put forward
    spine = spine_of(PEOPLE, [spring + 22 * 3600 - 1], "Europe/Berlin")
    shifted = spine.shift(1)
    assert spine.rows["instant_day"][0].as_py() == 17_251
    assert shifted.rows["instant_day"][0].as_py() == 17_250
    assert shifted.instants[0] == spring + 22 * 3600 - 1 - DAY
    assert shifted.rows["known_at"].equals(spine.rows["known_at"])
    assert spine.known(7).rows["known_at"].to_pylist() == [7, 7, 7]


def test_an_instant_in_milliseconds_is_refused() -> None:
    with pytest.raises(FeatureError, match="not in epoch seconds: 1500000000000"):
        spine_of(PEOPLE, [1_500_000_000_000])
