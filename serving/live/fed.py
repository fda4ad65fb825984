"""What live events are fed to, and who of a batch of them is whose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from features.errors import StoreError
from features.inbox.batch import ROW_COLUMNS

Rows = Sequence[tuple[Any, ...]]
"""Of the inbox, each ``(seq, *ROW_COLUMNS)``."""
ACCOUNT: Final = 1 + ROW_COLUMNS.index("account")
ARRIVED_AT: Final = 1 + ROW_COLUMNS.index("arrived_at")


class FillNeededError(StoreError):
    """What is fed takes no events before it has been filled from the log."""


class Fed(ABC):
    """What live events are fed to, each once.

    Attributes
    ----------
    name
        Reader of the inbox.
    command
        Fills it from the log.
    """

    name: str
    command: str

    @abstractmethod
    def position(self) -> int:
        """Return the `seq` up to which it has taken events.

        Raises
        ------
        FillNeededError
            It takes none before it has been filled.
        ZhongcaoError
            It takes none now.
        """

    @abstractmethod
    def take(self, after: int, rows: Rows) -> None:
        """Take events, and move the position from `after` to the last of them: both or neither.

        Raises
        ------
        ZhongcaoError
            It is elsewhere, or cannot be written.
        """

    @abstractmethod
    def skip(self, after: int, row: tuple[Any, ...]) -> None:
        """Move the position from `after` to an event that cannot be taken, without it.

        Raises
        ------
        ZhongcaoError
            It is elsewhere, or cannot be written.
        """


def by_person(
    accounts: Sequence[str], resolve: Callable[[Sequence[str]], list[str]], withdrawn: AbstractSet[str]
) -> tuple[dict[str, list[int]], set[str]]:
    """Return person → numbers of the events, ascending, and who of them must not be personalised.

    Parameters
    ----------
    accounts
        Of each event.
    resolve
        From accounts to persons.
    withdrawn
        Keys of persons and accounts.
    """
    each = list(dict.fromkeys(accounts))
    owner = dict(zip(each, resolve(each), strict=True))
    mine: dict[str, list[int]] = {}
    for number, account in enumerate(accounts):
        mine.setdefault(owner[account], []).append(number)
    return mine, {person for account, person in owner.items() if account in withdrawn or person in withdrawn}
