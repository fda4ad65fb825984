"""Who withdrew consent after rows were computed, as the log says today: their rows stay until the next fill."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from features.erasure.person_keys import with_their_keys
from features.log.event_log import EventLog
from features.rights.ledger import Rights, refused_keys
from features.rights.withdrawals import withdrawn
from features.settings import Settings

WITHDRAWN: Final = "the person withdrew consent"


def next_word(settings: Settings, now: int) -> int | None:
    """Return when the next link or consent that is dated ahead begins to count; None where none is.

    Parameters
    ----------
    settings
        Where the log lies.
    now
        Epoch seconds.
    """
    if not settings.log_dir.is_dir():
        return None
    log = EventLog.open(settings)
    con = log.connect()
    try:
        ahead = (
            log.table(con, "identities").filter(f"valid_from > {int(now)}").aggregate("min(valid_from)").fetchall()
        )
    finally:
        con.close()
    return None if ahead[0][0] is None else int(ahead[0][0])


def withdrawn_since(settings: Settings, as_of: int, now: int) -> list[str]:
    """Return the keys of people whose rows must not be used, sorted: who withdrew consent or opted out.

    Parameters
    ----------
    settings
        Where the log lies.
    as_of, now
        See `features.rights.withdrawals.withdrawn`.
    """
    if not settings.log_dir.is_dir():
        return refused_keys(settings)
    log = EventLog.open(settings)
    con = log.connect()
    try:
        return withdrawn(log.table(con, "identities"), as_of, now)
    finally:
        con.close()


def deleted_tags(settings: Settings) -> Mapping[str, AbstractSet[str]]:
    """Return key of a person or an account → ids of tags that must not be inferred, as of now.

    What somebody said through one account holds for every account that is theirs now.
    """
    rights = Rights(settings)
    try:
        said = rights.deleted_tags()
    finally:
        rights.close()
    return with_their_keys(settings, said) if said else said
