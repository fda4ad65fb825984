"""Links as they count once people have opted out: whoever did has said no, at all times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

LATEST: Final = (
    "select account, arg_max(person, (valid_from, arrived_at, row_id)) as person from links group by account"
)
"""SQL of whose each account is by the last word of all ``links``."""


def without_refused(
    con: duckdb.DuckDBPyConnection,
    links: Any,  # noqa: ARG001  (DuckDB finds it by its name)
    keys: Sequence[str],
) -> duckdb.DuckDBPyRelation:
    """Return links in which everybody of whom a key is given has said no.

    Whoever opted out stays out whatever consent is imported later, at earlier instants, and with accounts that
    became theirs since.

    Parameters
    ----------
    con
        Connection that the links live on.
    links
        Canonical rows of the identities.
    keys
        Of accounts or persons.
    """
    refused = pa.table({"key": pa.array(list(keys), pa.string())})  # noqa: F841
    return con.sql(
        f"with latest as ({LATEST}), people as ("  # noqa: S608
        "select key as person from refused union select person from latest semi join refused on account = key"
        "), accounts as ("
        "select account from latest semi join people using (person) union select key from refused"
        ") select * replace (case when person in (from people) then false else consent end as consent) from links "
        "union all select row_id, 'rights', 0, '', account, account, 0, false "
        "from (select 'rights ' || account as row_id, account from accounts)"
    )
