"""Groups categories that the same people buy, for a log that names nothing but category codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

_SAMPLE: Final = 20_000
_DIRECTIONS: Final = 40
_DEPARTMENT_WEIGHT: Final = 0.3


def group_categories(
    acts: Any, categories: Mapping[str, int], departments: Mapping[str, str], groups: int
) -> list[list[str]]:
    """Group categories by who buys them, and by department where it is known.

    Two categories are near when the same people act in them more than in others: correlation over people of the
    log counts, each category by its own spread, each person's mean taken off. Ward's method merges the nearest.
    The same log gives the same groups.

    Parameters
    ----------
    acts
        DuckDB relation with columns account and category.
    categories
        The categories to group, with their number of buyers, most first.
    departments
        Category → department, for those where it is known.
    groups
        How many groups to make at most.

    Returns
    -------
    list of list of str
        Groups by number of buyers of their largest category; categories in the given order.
    """
    codes = list(categories)
    if len(codes) <= groups:
        return [[code] for code in codes]
    vectors = np.hstack([_directions(_person_table(acts, codes)), _department_marks(codes, departments)])
    labels = fcluster(linkage(vectors, method="ward"), groups, criterion="maxclust")
    members: dict[int, list[str]] = {}
    for code, label in zip(codes, labels, strict=True):
        members.setdefault(int(label), []).append(code)
    return list(members.values())


def _person_table(acts: Any, codes: list[str]) -> NDArray[np.float64]:
    rows = acts.query(
        "acts",
        f"with sampled as (select account from acts group by account order by md5(account) limit {_SAMPLE}) "  # noqa: S608
        "select account, category, count(*) n from acts semi join sampled using (account) "
        "where category is not null "
        "group by account, category order by account, category",
    ).to_arrow_table()
    number = {code: n for n, code in enumerate(codes)}
    person = rows["account"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    column = np.array([number.get(code, -1) for code in rows["category"].to_pylist()], dtype=np.int64)
    table = np.zeros((int(person.max(initial=-1)) + 1, len(codes)))
    kept = column >= 0
    table[person[kept], column[kept]] = np.log1p(rows["n"].to_numpy()[kept])
    return table


def _directions(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one unit vector per category: its strongest directions once size and busyness are taken off."""
    spread = table.std(axis=0)
    relative = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1)
    relative -= relative.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(_unit_rows(relative.T) @ _unit_rows(relative.T).T)
    strongest = slice(-_DIRECTIONS, None)
    found = vectors[:, strongest] * np.sqrt(np.maximum(values[strongest], 0))
    return _unit_rows(found)


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1))


def _department_marks(codes: list[str], departments: Mapping[str, str]) -> NDArray[np.float64]:
    names = sorted(set(departments.values()))
    marks = np.zeros((len(codes), len(names)))
    for row, code in enumerate(codes):
        if code in departments:
            marks[row, names.index(departments[code])] = _DEPARTMENT_WEIGHT
    return marks
