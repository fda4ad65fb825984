"""Who said something about themselves since a version was made: on consent, on personalisation, on a tag."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Final

from features.log.event_log import EventLog
from features.rights.file import reading, rights_path
from features.settings import Settings
from serving.memberships.versions import Version

_CONSENTS: Final = """
with said as (
    select distinct person from links where consent is not null and greatest(valid_from, arrived_at) >= {since}
)
select person as key from said union select account from links join said using (person) order by key
"""


@dataclass(frozen=True)
class Words:
    """What was said.

    Parameters
    ----------
    keys
        Of whoever said something: of persons and of accounts.
    stamp
        Number of the last statement of the file of people's rights.
    """

    keys: frozenset[str]
    stamp: int


def words_since(settings: Settings, version: Version | None) -> Words:
    """Return who said something since a version was made, even if they took it back meanwhile.

    An answer to a copy may have left them out in between, so what a version holds of them is no base to compare
    with.

    Parameters
    ----------
    settings
        Where the log and the file of people's rights lie.
    version
        The latest one; without one there is nothing to forget.
    """
    stamp, keys = 0 if version is None else version.stamp, set[str]()
    path = rights_path(settings)
    if path.exists():
        with closing(reading(path)) as connection:
            found = connection.execute("SELECT number, key FROM said WHERE number > ?", (stamp,)).fetchall()
        stamp = max((number for number, _ in found), default=stamp)
        keys.update(key for _, key in found)
    if version is None:
        return Words(frozenset(), stamp)
    if settings.log_dir.is_dir():
        log = EventLog.open(settings)
        con = log.connect()
        try:
            asked = _CONSENTS.format(since=int(version.made_at))
            keys.update(key for (key,) in log.table(con, "identities").query("links", asked).fetchall())
        finally:
            con.close()
    return Words(frozenset(keys), stamp)
