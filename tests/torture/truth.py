"""What must be true of a home after whatever was done to its server."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx
from rich.console import Console

from features.inbox.inbox import Inbox
from features.inbox.mover import Moved, move
from features.log.event_log import EventLog
from features.log.summary import summarise
from features.people.identity import account_key, load_key
from features.settings import Settings
from serving.histories.fill import fill_histories
from serving.histories.sqlite_store import SqliteHistories
from serving.live.parity import Parity, check_rows
from serving.live.parity_histories import check_histories
from serving.online.sqlite_store import SqliteStore
from tests.serving.live_homes import champion, filled
from training.steps import Steps

WAIT_SECONDS = 600


def filled_now(home: Settings) -> None:
    """Fill rows, states and histories from the log, as of now."""
    filled(home, int(time.time()))
    fill_histories(home, "now", int(time.time()), Steps(Console(quiet=True)))


def caught_up(url: str) -> None:
    """Wait until everything that was accepted has been fed."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        said: dict[str, Any] = httpx.get(f"{url}/readyz", timeout=30).json().get("live_events", {})
        if said and all(one.get("behind") == 0 for one in said.values()):
            return
        assert time.monotonic() < until, said
        time.sleep(0.1)


def parity(home: Settings) -> Parity:
    """Compare the live rows and histories of everybody with the batch."""
    store, histories = SqliteStore(home.store_file), SqliteHistories(home.histories_file)
    try:
        return check_rows(home, store, champion(home), 10_000, 0) + check_histories(home, histories, 10_000, 0)
    finally:
        store.close()
        histories.close()


def moved(home: Settings) -> Moved:
    """Move what waits into the log, as `zhongcao inbox move` does."""
    log = EventLog.open(home)
    with Inbox(log) as inbox:
        done = move(inbox, log)
        assert inbox.describe().waiting == inbox.describe().refused == 0
    return done


def logged(home: Settings) -> Counter[str]:
    """Return live event's id, as it was sent → how often the log holds it."""
    log = EventLog.open(home)
    con = log.connect()
    ids = [row[0].split(":", 2)[2] for row in log.events(con).project("event_id").fetchall() if ":live-" in row[0]]
    con.close()
    return Counter(ids)


def counted(home: Settings, kind: str) -> int:
    """Return how many events of a kind the summary of the log counts."""
    return sum(int(row["count"]) for row in summarise(EventLog.open(home)).events if row["kind"] == kind)


def in_rows(home: Settings, column: str, accounts: list[str]) -> dict[str, float]:
    """Return person → a number of the person's live row."""
    place = list(champion(home).layout.columns).index(column)
    store, key = SqliteStore(home.store_file), load_key(home)
    persons = sorted(set(store.resolve([account_key(key, "shop", account) for account in accounts])))
    rows = zip(persons, store.get(persons), strict=True)
    found = {person: float(row.vector[place]) for person, row in rows if row is not None}
    store.close()
    return found


def persons_of(home: Settings, accounts: list[str]) -> dict[str, str]:
    """Return account → person."""
    store, key = SqliteStore(home.store_file), load_key(home)
    found = store.resolve([account_key(key, "shop", account) for account in accounts])
    store.close()
    return dict(zip(accounts, found, strict=True))
