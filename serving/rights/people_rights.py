"""People's rights as a server answers them: what is said is on disk before the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from features.erasure.erasures import Receipt, erased_since, receipt
from features.erasure.person_keys import person_keys
from features.errors import RightsError
from features.people.identity import account_key, load_key
from features.rights.ledger import opt_in, opt_out
from features.settings import Settings
from serving.messages.problems import Problem
from serving.messages.schemas import AccountRef
from serving.rights.erasure import Eraser
from serving.rights.rights_answers import forget_tag

_WAIT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class OptOutAnswer:
    """Body of the answers to opting out and in."""

    opted_out: bool


@dataclass(frozen=True, slots=True)
class DeletedTagAnswer:
    """Body of the answer to deleting a tag of oneself.

    Parameters
    ----------
    tag
        Its id; it is never inferred again.
    removed
        Lines of batch outputs that said it.
    """

    tag: str
    removed: int


class PeopleRights:
    """Does what people ask for about themselves.

    Parameters
    ----------
    settings
        Where everything lies.
    eraser
        Finishes erasures.
    """

    def __init__(self, settings: Settings, eraser: Eraser) -> None:
        self._settings = settings
        self._eraser = eraser
        self._key = load_key(settings)

    def key_of(self, account: AccountRef) -> str:
        """Return the key of an account."""
        return account_key(self._key, account.platform, account.account)

    def opt_out(self, key: str) -> OptOutAnswer:
        """Personalise somebody no more, from the next request on."""
        # The key that was named counts at once, also where the log is being read for the others.
        opt_out(self._settings, [key])
        opt_out(self._settings, person_keys(self._settings, key).all)
        return OptOutAnswer(True)

    def opt_in(self, key: str) -> OptOutAnswer:
        """Take an opt-out back."""
        opt_in(self._settings, person_keys(self._settings, key).all)
        return OptOutAnswer(False)

    def delete_tag(self, key: str, tag: str) -> DeletedTagAnswer:
        """Never infer a tag of somebody again."""
        removed = forget_tag(self._settings, person_keys(self._settings, key).all, tag)
        return DeletedTagAnswer(tag, removed)

    def erase(self, key: str) -> Receipt:
        """Erase somebody with all accounts; the receipt says what is done so far after a few seconds."""
        erasure = self._eraser.erase(key)
        until = time.monotonic() + _WAIT_SECONDS
        while (done := receipt(self._settings, erasure)).finished_at is None and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
        return done

    def erased_since(self, bundle: str) -> int:
        """Return how many people were erased since a bundle was trained."""
        return erased_since(self._settings, bundle)

    def receipt(self, erasure: str) -> Receipt:
        """Return the receipt of an erasure.

        Raises
        ------
        Problem
            There is no such erasure.
        """
        try:
            return receipt(self._settings, erasure)
        except RightsError as error:
            raise Problem(404, "no erasure has this id", kind="no-such-erasure") from error
