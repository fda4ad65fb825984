from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.tags.stability import Stability, compare_assignments

WHO = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1)


@given(first=WHO, second=WHO)
def test_counts_are_those_of_sets_of_people(
    first: dict[str, tuple[float, float]], second: dict[str, tuple[float, float]]
) -> None:
    assign_at = np.array([0.5, 0.8])
    both_times = first.keys() & second.keys()

    def having(people: dict[str, tuple[float, float]], tag: int) -> set[str]:
        return {person for person in both_times if people[person][tag] >= assign_at[tag]}

    found = compare_assignments(
        *((list(people), np.array(list(people.values()))) for people in (first, second)), assign_at, ["x", "y"]
    )
    assert found.people == len(both_times)
    moved: set[str] = set()
    for tag, name in enumerate(("x", "y")):
        before, after = having(first, tag), having(second, tag)
        counts = found.per_tag[name]
        assert (counts.before, counts.after, counts.changed) == (len(before), len(after), len(before ^ after))
        assert math.isnan(counts.jaccard) if not before | after else True
        if before | after:
            assert counts.jaccard == len(before & after) / len(before | after)
        moved |= before ^ after
    assert found.people_changed == len(moved)
    assert found.over_all.changed == sum(counts.changed for counts in found.per_tag.values())


def test_read_back() -> None:
    found = compare_assignments((["a"], np.array([[0.9]])), (["a"], np.array([[0.1]])), np.array([0.5]), ["x"])
    document = {
        "days": 7, "people": 1, "people_changed": 1, "per_tag": {"x": {"before": 1, "after": 0, "both": 0}},
    }  # fmt: skip
    assert Stability.from_dict(document) == found
