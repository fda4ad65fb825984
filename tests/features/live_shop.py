"""A shop that sends live events to an inbox of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.inbox.batch import Verdict
from features.inbox.inbox import Inbox
from features.inbox.live_catalogue import LiveCatalogue
from features.inbox.live_events import LiveReader
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms, load_key
from features.settings import Settings

NOW = 1_750_000_000


def sent(number: int, **more: Any) -> dict[str, Any]:
    """An event as a shop sends it."""
    return {
        "event_id": f"o-{number}",
        "kind": "purchase",
        "event_time": NOW - 60,
        "platform": "shop",
        "account": f"a{number % 5}",
        "item": "tea",
        "amount": 1299,
        **more,
    }


@dataclass
class Shop:
    """Sends events and looks at what became of them."""

    settings: Settings
    log: EventLog
    reader: LiveReader

    def send(self, inbox: Inbox, items: Sequence[Any], brand: str | None = None) -> list[Verdict]:
        return inbox.accept(self.reader.read(items, "till", brand=brand))

    def logged(self) -> Counter[str]:
        con = self.log.connect()
        try:
            return Counter(row[0] for row in self.log.events(con).project("event_id").fetchall())
        finally:
            con.close()


def shop(home: Path, **more: Any) -> Shop:
    settings = Settings(home=home, mlruns=home / "mlruns", threads=1, **more)
    log = EventLog.open(settings, create=True)
    reader = LiveReader(log.currency, Pseudonyms(load_key(settings)), LiveCatalogue(log), clock=lambda: NOW)
    return Shop(settings, log, reader)


def outcomes(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.outcome for verdict in verdicts]
