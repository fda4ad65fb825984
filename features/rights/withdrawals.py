"""Who has withdrawn consent since rows were computed: their rows may still lie in a store."""

from __future__ import annotations

from typing import Any, Final

# As in the population, the latest word on consent and the latest link win. A row is kept under a person's key, or
# under an account's where that was not linked yet; whoever held an account that is now of a person who said no is
# in a row with that person's events.
_WITHDRAWN: Final = """
with known as (
    select * from links where valid_from <= {now}
), latest as (
    select account, arg_max(person, (valid_from, arrived_at, row_id)) as person from known group by account
), earlier as (
    select account, arg_max(person, (valid_from, arrived_at, row_id)) as person
    from known where valid_from <= {as_of} and arrived_at <= {as_of} group by account
), refused as (
    select person from known where consent is not null group by person
    having not arg_max(consent, (valid_from, not consent))
), of_refused as (
    select latest.account, earlier.person from latest join refused using (person) left join earlier using (account)
)
select person from refused
union select account from of_refused
union select person from of_refused where person is not null
order by person
"""


def withdrawn(identities: Any, as_of: int, now: int) -> list[str]:
    """Return the keys under which people are stored who no longer agree to be personalised.

    Parameters
    ----------
    identities
        The log's identities, a DuckDB relation.
    as_of
        Instant of the stored rows: whose accounts were whose is as it was known then.
    now
        A link or a consent from then on does not count yet.

    Returns
    -------
    list of str
        Sorted; most are in no store, for whoever said no before the rows were computed is in none.
    """
    found = identities.query("links", _WITHDRAWN.format(as_of=int(as_of), now=int(now))).fetchall()
    return [key for (key,) in found]
