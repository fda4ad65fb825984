"""A home with a small log, a tiny champion for it, and live events that go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from features.inbox.inbox import Inbox
from features.inbox.live_catalogue import LiveCatalogue
from features.inbox.live_events import LiveReader
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms, account_key, load_key
from features.rows.catalog import layout_for
from features.settings import Settings
from features.taxonomy.taxonomy import taxonomy_of
from serving.live.feed_tags import FedTags
from serving.live.feeder import Feeder
from serving.online.backfill import backfill
from serving.online.sqlite_store import SqliteStore
from tests.serving.conversion_homes import bring_in
from tests.serving.homes import tiny_model
from training.bundles.champion import champion_path, promote
from training.steps import Steps
from training.tags.bundle import Bundle, load_bundle, write_bundle

DAY = 86_400
NOW = 1_750_000_000
KINDS = ("cart", "click", "impression", "purchase")
TAXONOMY = taxonomy_of(
    {
        "name": "live",
        "vertical": [
            {"id": "tea", "name": "Tea", "name_zh": "茶", "categories": ["tea"]},
            {"id": "milk", "name": "Milk", "name_zh": "奶", "categories": ["milk"]},
        ],
        "pattern": [
            {
                "id": "much", "name": "{vertical}: much", "name_zh": "{vertical}:多", "meaning": "Buys much of it.",
                "rule": "sum(purchase, amount) >= quantile(sum(purchase, amount, past=90), 0.5)",
            },
            {
                "id": "will-buy", "name": "{vertical}: will buy", "name_zh": "{vertical}:将购买",
                "meaning": "Buys {vertical}.", "rule": "count(purchase) >= 1",
            },
        ],
    }
)  # fmt: skip


def event(number: int, account: str, at: int, kind: str = "purchase", **more: Any) -> dict[str, Any]:
    """An event, as it is sent live."""
    said = {"event_id": f"e{number}", "kind": kind, "event_time": at, "platform": "shop", "account": account}
    if kind in {"purchase", "cart"}:
        said |= {"item": f"i{number % 3}", "category": ("tea", "milk", "soap")[number % 3]}
    return said | ({"amount": 100 + number} if kind == "purchase" else {}) | more


def past_events(people: int = 12) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    rows = []
    for number in range(people * 12):
        at = NOW - int(rng.integers(1, 200)) * DAY - int(rng.integers(0, DAY))
        kind = KINDS[int(rng.integers(len(KINDS)))]
        rows.append(event(number, f"a{number % people}", at, kind) | {"arrived_at": at + int(rng.integers(0, 600))})
    return rows


def link(account: str, person: str, **more: Any) -> dict[str, Any]:
    said = {"platform": "shop", "account": account, "person": person, "consent": None}
    return said | {"valid_from": NOW - 300 * DAY, "arrived_at": NOW - 300 * DAY} | more


def live_home(folder: Path) -> Settings:
    """Import past events, link some accounts, write and promote a champion; its store is not filled."""
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=1)
    bring_in(settings, "events", past_events(), folder)
    links = [link("a0", "ann"), link("a1", "ann"), link("silent", "sue"), link("a2", "max", consent=False)]
    bring_in(settings, "identities", links, folder)
    layout = layout_for(TAXONOMY, KINDS)
    model, _ = tiny_model(layout, TAXONOMY, [f"p{n}" for n in range(60)], (NOW - 60 * DAY, NOW - 30 * DAY))
    promote(settings, write_bundle(model, {"made": "for a test"}, NOW - DAY, settings.bundles_dir))
    return settings


def champion(settings: Settings) -> Bundle:
    return load_bundle(champion_path(settings))


def filled(settings: Settings, as_of: int = NOW, kinds: tuple[str, ...] | None = None) -> None:
    backfill(settings, champion(settings), as_of, Steps(Console(quiet=True)), kinds)


def key_of(settings: Settings, account: str) -> str:
    return account_key(load_key(settings), "shop", account)


class LiveShop:
    """Sends events, and feeds them when it is told to."""

    def __init__(self, settings: Settings, inbox: Inbox, store: SqliteStore, bundle: Bundle) -> None:
        self.settings, self.inbox, self.store, self.bundle = settings, inbox, store, bundle
        self.now = NOW
        self.withdrawn: set[str] = set()
        self.fed = FedTags(store, lambda: self.bundle, lambda: self.withdrawn, lambda: self.now)
        self.feeder = Feeder(inbox, [self.fed])
        log = inbox.log
        self.reader = LiveReader(
            log.currency, Pseudonyms(load_key(settings)), LiveCatalogue(log), clock=lambda: self.now
        )

    def send(self, *events: dict[str, Any]) -> None:
        verdicts = self.inbox.accept(self.reader.read(list(events), "till"))
        assert {verdict.outcome for verdict in verdicts} <= {"accepted"}, verdicts

    def feed(self) -> None:
        while self.feeder.feed():
            pass

    def person(self, account: str) -> str:
        return self.store.resolve([key_of(self.settings, account)])[0]


@contextmanager
def live_shop(settings: Settings) -> Iterator[LiveShop]:
    store = SqliteStore(settings.store_file)
    with Inbox(EventLog.open(settings)) as inbox:
        yield LiveShop(settings, inbox, store, champion(settings))
    store.close()


Made = Callable[[], Settings]
