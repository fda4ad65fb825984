"""Erasing people from the online store in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from features.erasure.erasable import ErasablePlace
from features.errors import StoreError
from serving.online.redis_link import RedisLink
from serving.online.redis_scripts import ERASE

_FIELDS_AT_ONCE: Final = 1000


class RedisPlace(ErasablePlace):
    """A `serving.online.redis_store.RedisStore`, with generations that scans still read.

    What Redis itself has written to disk goes with its next snapshot or rewrite of its append-only file.

    Parameters
    ----------
    name
        As the receipt lists it.
    url
        Of the store.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete rows of people, see `ErasablePlace.erase`."""
        link = RedisLink(self._url)
        try:
            keys = {*persons, *accounts}
            removed = link.run(ERASE, *sorted(keys | _accounts_of(link, keys)))
        finally:
            link.close()
        if removed is None:
            raise StoreError(
                "another fill of the online store is under way",
                next_step="the erasure counts already, and is finished once that has ended",
            )
        return int(removed)


def _accounts_of(link: RedisLink, keys: set[str]) -> set[str]:
    found = set()
    with link.named_errors():
        for part in link.client.scan_iter(match="zhongcao:*:accounts", count=_FIELDS_AT_ONCE):
            for account, person in link.client.hscan_iter(part, count=_FIELDS_AT_ONCE):
                if person.decode() in keys:
                    found.add(account.decode())
    return found
