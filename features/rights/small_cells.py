"""Which rows of a table of counts may be told, so that none tells of few people, by itself or by subtraction."""

from __future__ import annotations

from collections.abc import Sequence


def may_be_told(people: Sequence[int], least: int) -> tuple[bool, ...]:
    """Say which rows may stand beside their total.

    Rows of 1 to ``least - 1`` people are withheld. With them goes the smallest other row of at least `least`
    people: what is left after the rows that are told are taken from the total is then always of `least` people or
    more, also where a person is in several rows. Where there is no such row, none but those of nobody are told.

    Parameters
    ----------
    people
        How many people each row is about.
    least
        Fewer are not told of.

    Returns
    -------
    tuple of bool
        By row.

    Examples
    --------
    >>> may_be_told([700, 60, 3, 0], 50)
    (True, False, False, True)
    >>> may_be_told([60, 50], 50)
    (True, True)
    """
    told = [count == 0 or count >= least for count in people]
    if not all(told):
        large = [row for row, count in enumerate(people) if count >= least]
        if large:
            told[min(large, key=lambda row: people[row])] = False
    return tuple(told)
