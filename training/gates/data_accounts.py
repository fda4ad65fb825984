"""Whether accounts are who they were: not too busy, not too many, not all strangers, linked as before."""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np

from training.gates.check import Check, Status
from training.gates.data_findings import Findings, places
from training.gates.data_volume import FLOOR
from training.gates.data_window import ROWS, Grid, Window, grid_of

IDENTITIES: Final = "checked_identities"
_ACCOUNTS: Final = "checked_accounts"
_BUSY: Final = 3  # times what 99 of 100 accounts do a day at most
_OWN_BUSY: Final = 2  # times what the account itself ever did before: some people are busy for years
_BUSY_SHARE, _RATHER_BUSY_SHARE = 0.2, 0.05
_ACTS_FACTOR: Final = 3.0
_STRANGERS: Final = 0.5
_LINKS_LOST, _SOME_LINKS_LOST = 0.5, 0.25
_MOST_ACCOUNTS: Final = 100
"""A person with more accounts than this is a default value, a call centre or a shared device."""


def check_accounts(con: duckdb.DuckDBPyConnection, window: Window) -> tuple[Check, Check]:
    """Check, by platform and day, rows of very busy accounts, rows an account, and accounts seen before."""
    first, last = int(window.days[0]), int(window.days[-1])
    begin = int(window.days[window.judged][0])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_ACCOUNTS} AS "  # noqa: S608 - names and numbers are ours
        f"WITH counted AS (SELECT day, platform, account, count(*) AS acts FROM {ROWS} "
        f"WHERE day BETWEEN {first} AND {last} GROUP BY ALL), "
        "seen AS (SELECT platform, account, min(day) AS since, "
        f"coalesce(max(acts) FILTER (day < {begin}), 0) AS most FROM counted GROUP BY ALL), "
        f"busy AS (SELECT platform, greatest({_BUSY} * quantile_disc(acts, 0.99), 100) AS busy FROM counted "
        f"WHERE day < {begin} GROUP BY ALL) "
        "SELECT day, platform, account, acts, since, "
        f"coalesce(acts > busy, false) AND acts > {_OWN_BUSY} * most AS busy "
        "FROM counted JOIN seen USING (platform, account) LEFT JOIN busy USING (platform)"
    )
    grid = grid_of(
        con,
        window,
        ("platform",),
        {
            "rows": "sum(acts)",
            "accounts": "count(*)",
            "known": "count_if(since < day)",
            "busy": "sum(acts) FILTER (busy)",
            "bots": "count_if(busy)",
        },
        _ACCOUNTS,
    )
    return _busy(grid, window), _people(grid, window)


def _busy(grid: Grid, window: Window) -> Check:
    found = Findings("bots", "find out who acts so often, and leave these rows out of the import")
    share = grid["busy"] / np.maximum(grid["rows"], 1)
    more = share - window.usual(share)
    for cell, day in places((grid["rows"] >= FLOOR) & (more > _RATHER_BUSY_SHARE), window):
        found.add(
            "FAIL" if more[cell, day] > _BUSY_SHARE else "WARN",
            more[cell, day],
            f"{grid.name(cell)} on {window.name(day)}: {share[cell, day]:.0%} of rows are of "
            f"{grid['bots'][cell, day]:,} accounts that do {_BUSY} times what 99 of 100 do, and "
            f"{_OWN_BUSY} times what they ever did",
        )
    return found.check("no more rows are of very busy accounts than before")


def _people(grid: Grid, window: Window) -> Check:
    found = Findings("accounts", "see whether account ids come in another form, mend the mapping, import again")
    accounts = grid["accounts"].astype(float)
    each = grid["rows"] / np.maximum(accounts, 1)
    ratio = each / np.maximum(window.usual(each), 1e-9)
    usual = window.usual(accounts)
    enough = (grid["rows"] >= FLOOR) & (usual >= FLOOR)
    for cell, day in places(enough & ((ratio > _ACTS_FACTOR) | (ratio < 1 / _ACTS_FACTOR)), window):
        text = f"{each[cell, day]:,.1f} rows an account, {each[cell, day] / ratio[cell, day]:,.1f} usual"
        found.add("FAIL", abs(np.log(ratio[cell, day])), f"{grid.name(cell)} on {window.name(day)}: {text}")
    known = grid["known"] / np.maximum(accounts, 1)
    # The share of known accounts rises from the first day on: the last week before the judged days says most.
    week = np.flatnonzero(~window.judged)[-7:]
    before = np.median(known[:, week], axis=1, keepdims=True)
    strangers = (accounts >= FLOOR) & (usual >= FLOOR) & (before >= 0.2) & (known < _STRANGERS * before)
    for cell, day in places(strangers, window):
        text = f"{known[cell, day]:.0%} of accounts were seen before, {before[cell, 0]:.0%} usual"
        found.add("FAIL", before[cell, 0] - known[cell, day], f"{grid.name(cell)} on {window.name(day)}: {text}")
    return found.check("accounts are as many and as well known as before")


def check_identities(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    """Check the accounts a person, and how many of the active accounts are linked; needs `check_accounts` first."""
    found = Findings("identities", "see what the links were made of, and import them anew")
    begin = int(window.starts[:-1][window.judged][0])
    con.execute(
        "CREATE OR REPLACE TEMP TABLE checked_links AS SELECT platform, account, min(arrived_at) AS since, "  # noqa: S608
        f"arg_max(person, (valid_from, arrived_at)) AS person FROM {IDENTITIES} GROUP BY ALL"
    )
    people, accounts, most, crowded, many = con.sql(
        "SELECT count(*), coalesce(sum(n), 0), coalesce(max(n), 0), "  # noqa: S608
        f"coalesce(sum(n) FILTER (n > {_MOST_ACCOUNTS}), 0), count_if(n > {_MOST_ACCOUNTS}) "
        "FROM (SELECT count(*) AS n FROM checked_links GROUP BY person)"
    ).fetchall()[0]
    evidence = {"people": people, "accounts": int(accounts), "most_accounts_of_a_person": int(most)}
    if many:
        text = f"{many:,} people have more than {_MOST_ACCOUNTS} accounts, {crowded:,} of {accounts:,} in all"
        found.add("FAIL" if crowded >= 0.01 * float(accounts) else "WARN", float(crowded), text)
    earlier = con.sql(
        "SELECT count(*) / count(DISTINCT person), count(*) FROM checked_links "  # noqa: S608
        f"WHERE since < {begin}"
    ).fetchall()[0]
    if earlier[1] >= FLOOR and accounts / people > 2 * earlier[0]:
        each = f"{accounts / people:,.1f} accounts a person, {earlier[0]:,.1f} two weeks before"
        found.add("FAIL", accounts / people, each)
    grid = grid_of(
        con,
        window,
        ("platform",),
        {"accounts": "count(*)", "linked": "count(person)"},
        f"(SELECT day, platform, person FROM {_ACCOUNTS} LEFT JOIN checked_links USING (platform, account))",  # noqa: S608
    )
    share = grid["linked"] / np.maximum(grid["accounts"], 1)
    lost = window.usual(share) - share
    for cell, day in places((grid["accounts"] >= FLOOR) & (lost > _SOME_LINKS_LOST), window):
        text = f"{share[cell, day]:.0%} of active accounts are linked to people"
        usual = f"{share[cell, day] + lost[cell, day]:.0%} usual"
        status: Status = "FAIL" if lost[cell, day] > _LINKS_LOST else "WARN"
        found.add(status, lost[cell, day], f"{grid.name(cell)} on {window.name(day)}: {text}, {usual}")
    return found.check(f"{people:,} people have {int(accounts):,} accounts, {int(most)} at most", evidence)
