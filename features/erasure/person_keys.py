"""All keys of one person: of the person and of every account that is theirs now."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow as pa

from features.log.event_log import EventLog
from features.rights.refused_links import LATEST
from features.settings import Settings


@dataclass(frozen=True)
class PersonKeys:
    """The keys that somebody is known under.

    Parameters
    ----------
    person
        Key of the person; of an account without a link, the account's.
    accounts
        Keys of the accounts that are theirs now.
    """

    person: str
    accounts: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All keys, sorted."""
        return tuple(sorted({self.person, *self.accounts}))


def person_keys(settings: Settings, key: str) -> PersonKeys:
    """Return all keys of whoever a key is of, as the log says now; an account without a link is a person.

    Parameters
    ----------
    settings
        Where the log lies; without one, the key is all.
    key
        Of an account or of a person.
    """
    if not settings.log_dir.is_dir():
        return PersonKeys(key, (key,))
    log = EventLog.open(settings)
    con = log.connect()
    try:
        links = log.rows(con, "identities")  # noqa: F841
        found = con.execute(
            f"with latest as ({LATEST}), owner as ("  # noqa: S608
            "select coalesce((select person from latest where account = $key), $key) as person) "
            "select owner.person, latest.account from owner left join latest using (person) order by all",
            {"key": key},
        ).fetchall()
    finally:
        con.close()
    accounts = [account for _, account in found if account is not None]
    return PersonKeys(str(found[0][0]), tuple(accounts or [key]))


def with_their_keys(settings: Settings, said: Mapping[str, AbstractSet[str]]) -> dict[str, AbstractSet[str]]:
    """Return what was said by key, for every key of the same people, as the log says now."""
    spread = dict(said)
    if not settings.log_dir.is_dir():
        return spread
    log = EventLog.open(settings)
    con = log.connect()
    try:
        links = log.rows(con, "identities")  # noqa: F841
        given = pa.table({"key": pa.array(list(said), pa.string())})  # noqa: F841
        found = con.execute(
            f"with latest as ({LATEST}), people as ("  # noqa: S608
            "select key, coalesce(person, key) as person from given left join latest on account = key) "
            "select key, person from people union select key, account from people join latest using (person)"
        ).fetchall()
    finally:
        con.close()
    for key, other in found:
        spread[other] = spread.get(other, frozenset()) | said[key]
    return spread
