"""A home whose API was asked for tags and conversions while live events came in, every prediction kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.log.event_log import EventLog
from features.people.identity import load_key
from features.rows.catalog import layout_for
from features.settings import Settings
from serving.api.events import Ingest, open_ingest
from serving.api.route_table import BRAND_PATHS, LINE_PATHS, NEEDS, OPEN_PATHS
from serving.api.routes import build_api
from serving.champions.open_scorers import Champions
from serving.champions.served import Served
from serving.consent.watch import ConsentWatch
from serving.guard.access import KeyRing
from serving.guard.limits import Guard
from serving.histories.sqlite_store import SqliteHistories
from serving.live.feeder import Feeding
from serving.online.backfill import backfill
from serving.online.choice import open_store
from serving.predictions.log import PredictionLog, _manifest_hash
from serving.predictions.record import Keeps
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from serving.server.feeding import open_feeder
from serving.server.service import build_service
from tests.serving.calls import post
from tests.serving.conversion_homes import AS_OF, DAY, FEATURES, copied, filled
from tests.serving.homes import tiny_model
from tests.serving.live_homes import TAXONOMY, champion, event
from tests.serving.test_conversion_reasons import model as small_conversions
from training.bundles.champion import champion_path, promote
from training.bundles.manifest import CONVERSION
from training.code import code_version
from training.conversion.bundle import load_conversion_bundle, write_conversion_bundle
from training.source import present_of
from training.steps import Steps
from training.tags.bundle import write_bundle

KINDS = ("cart", "click", "impression", "purchase")
WAIT_SECONDS = 20
CANDIDATES = ["n1", {"note": "n2", "price": 700}, "never seen"]


def unchecked(_: Path) -> None:
    """Pass a bundle that was just written, without the child process that others go through."""


def promote_small_champions(settings: Settings) -> None:
    """Write small champions of both kinds."""
    windows = (AS_OF - 60 * DAY, AS_OF - 30 * DAY)
    model, _ = tiny_model(layout_for(TAXONOMY, KINDS), TAXONOMY, [f"p{n}" for n in range(60)], windows)
    bundle = write_bundle(model, {"made": "for a test"}, AS_OF - DAY, settings.bundles_dir)
    promote(settings, bundle, unchecked)
    about = {"features": FEATURES.to_json()}
    bundle = write_conversion_bundle(small_conversions(), about, AS_OF - DAY, settings.bundles_dir)
    promote(settings, bundle, unchecked, kind=CONVERSION)


def fill_both(settings: Settings) -> None:
    """Fill both stores from the whole log, so that live events go on from there."""
    present = present_of(EventLog.open(settings), "now")
    backfill(settings, champion(settings), present, Steps(Console(quiet=True)))
    filled(settings, "now", int(time.time()))


def move_all(settings: Settings) -> None:
    """Move what waits into the log."""
    log = EventLog.open(settings)
    with Inbox(log) as inbox:
        move(inbox, log)


@dataclass
class Asked:
    """An API in this process."""

    app: Any
    log: PredictionLog
    fed: Callable[[], dict[str, Feeding]]
    champions: Champions
    sent: int
    settings: Settings
    inbox: Inbox

    def tags(self, accounts: list[str], **more: Any) -> list[str]:
        people = [{"platform": "shop", "account": account} for account in accounts]
        said = post(self.app, path="/v1/tags", json={"people": people, "top": 3, **more})
        assert said.status_code == 200, said.text
        return [one["prediction_id"] for one in said.json()["people"] if one["prediction_id"]]

    def conversions(self, account: str, **context: Any) -> str:
        body = {
            "person": {"platform": "shop", "account": account},
            "candidates": CANDIDATES,
            "context": {"platform": "red", "position": 2, **context},
        }
        said = post(self.app, path="/v1/conversions", json=body)
        assert said.status_code == 200, said.text
        return str(said.json()["prediction_id"])

    def send(self, *accounts: str, wait: bool = True) -> None:
        """Send events of some people, and wait until both stores have them."""
        now, kinds = int(time.time()), ("click", "purchase", "impression")
        numbers = range(self.sent, self.sent + len(accounts))
        events = [
            event(900_000 + number, account, now, kinds[number % 3], note=f"n{number % 12}")
            for number, account in zip(numbers, accounts, strict=True)
        ]
        self.sent += len(accounts)
        said = post(self.app, path="/v1/events", json={"events": events})
        assert said.json()["accepted"] == len(accounts), said.text
        until = time.monotonic() + WAIT_SECONDS
        while wait and not self._all_fed():
            assert time.monotonic() < until, self.fed()
            time.sleep(0.01)

    def _all_fed(self) -> bool:
        # An idle feeder says of the events before that there are none left.
        with (
            closing(open_store(self.settings)) as rows,
            closing(SqliteHistories(self.settings.histories_file)) as acts,
        ):
            found = [live.seq for live in (rows.live(), acts.live()) if live is not None]
        return len(found) == 2 and min(found) >= self.inbox.last_seq


def opened_champions(settings: Settings, opened: ExitStack) -> Champions:
    """Open the scorers of both champions, which nobody replaces."""
    store, histories = open_store(settings), SqliteHistories(settings.histories_file)
    opened.callback(store.close)
    opened.callback(histories.close)
    key, bundle = load_key(settings), load_conversion_bundle(champion_path(settings, CONVERSION))
    tags, conversions = Scorer(champion(settings), store, key), ConversionScorer(bundle, histories, key)
    return Champions(Served(tags), Served(conversions), ())  # type: ignore[arg-type]


@contextmanager
def asked_home(
    settings: Settings, first: int = 0, beside: Callable[[Keeps, Champions], Keeps] | None = None
) -> Iterator[Asked]:
    """Open an API over a home with both stores filled; its predictions are written in the end."""
    with ExitStack() as opened:
        consent = ConsentWatch(settings)
        champions = opened_champions(settings, opened)
        opened.enter_context(consent)
        ingest = open_ingest(settings, opened)
        assert isinstance(ingest, Ingest)
        feedings = open_feeder(settings, ingest, champions, consent, opened)
        log = PredictionLog(
            settings.predictions_dir,
            share=1.0,
            days=30,
            features=settings.predictions_features,
            code=code_version(),
            manifest=cache(lambda model: _manifest_hash(settings.bundles_dir / model)),
            reserve_bytes=0,
        )
        kept = log if beside is None else beside(log, champions)
        api = build_api(champions.tags, champions.conversions, ingest, predictions=kept, feedings=feedings)
        guard = Guard(
            api,
            KeyRing(settings.access_file),
            needs=NEEDS,
            open_paths=OPEN_PATHS,
            loopback=True,
            brand_paths=BRAND_PATHS,
            line_paths=LINE_PATHS,
        )
        yield Asked(
            build_service(guard).to_asgi(), log, lambda: dict(feedings()), champions, first, settings, ingest.inbox
        )
        log.flush()


def conversion_champion_home(settings: Settings, folder: Path) -> Settings:
    """Copy a home with the log of `conversion_homes`, give it champions and fill both stores."""
    home = copied(settings, folder)
    promote_small_champions(home)
    fill_both(home)
    return home
