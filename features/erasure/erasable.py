"""The contract of every place that may hold something of a person."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class ErasablePlace(ABC):
    """A place that people can be erased from; one suite of tests runs on each.

    Attributes
    ----------
    name
        As the receipt of an erasure lists it.
    """

    name: str

    @abstractmethod
    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete everything about some people for good: no file of the place holds a trace of them afterwards.

        It may be cut off anywhere and is then done again; a place that holds nothing of them is left as it is.

        Parameters
        ----------
        persons, accounts
            Their keys; a place may hold something under either.

        Returns
        -------
        int
            How many rows, or files, were deleted.

        Raises
        ------
        ZhongcaoError
            It cannot be done now; the next try finishes it.
        """
