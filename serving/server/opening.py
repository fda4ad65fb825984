"""Opening everything that answers: champions, stores, inbox, rights and the guard in front of them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from features.settings import Settings
from serving.api.events import open_ingest
from serving.api.route_table import BRAND_PATHS, LINE_PATHS, NEEDS, OPEN_PATHS, ROUTES
from serving.api.routes import build_api
from serving.champions.open_scorers import Champions, open_scorers
from serving.champions.served import Served
from serving.consent.watch import ConsentWatch
from serving.guard.access import KeyRing
from serving.guard.draining import Draining
from serving.guard.limits import Guard
from serving.guard.workers import Workers
from serving.memberships.pages import open_pages
from serving.messages.metrics import Metrics
from serving.openrtb.people import OpenRtbSettings
from serving.predictions.log import open_prediction_log
from serving.rights.erasure import Eraser
from serving.rights.people_rights import PeopleRights
from serving.server.feeding import open_feeder
from serving.server.live_metrics import watch_live
from serving.server.metrics_port import metrics_served
from serving.server.serving_metrics import watch
from serving.shadow.shadow import Shadow


@dataclass(frozen=True)
class Opened:
    """What answers, warm.

    Parameters
    ----------
    guard
        The routes behind their guard.
    champions
        What scores.
    """

    guard: Guard
    champions: Champions


def open_all(
    settings: Settings,
    ring: KeyRing,
    openrtb: OpenRtbSettings,
    opened: ExitStack,
    *,
    free: bool,
    draining: Draining,
) -> Opened:
    """Check and open everything that requests are answered from.

    Parameters
    ----------
    settings
        Where the champion, the store and the keys lie.
    ring
        API keys.
    openrtb
        Whose ids bid requests hold.
    opened
        Closes it again.
    free
        Whether callers of this machine need no key.
    draining
        Tells whether the server is about to stop.

    Raises
    ------
    BundleError
        There is no champion, or it is corrupt.
    StoreError
        The store is missing or was filled for another bundle.
    """
    consent = ConsentWatch(settings)
    champions = open_scorers(settings, consent, opened)
    memberships = open_pages(settings, consent)
    tags, conversions = champions.tags, champions.conversions
    opened.enter_context(consent)
    workers = Workers(settings.threads, settings.wait_ms / 1000)
    opened.callback(workers.close)
    metrics = Metrics([route.path for route in ROUTES])
    watch(metrics, workers, {"tags": tags, "conversion": conversions})
    predictions = open_prediction_log(settings, opened)
    predictions.show(metrics)
    served: dict[str, Served[Any]] = {"tags": tags, "conversions": conversions}
    shadow = opened.enter_context(Shadow(settings, predictions, served))
    if settings.metrics_port:
        opened.enter_context(metrics_served(metrics, settings.metrics_port))
    ingest = open_ingest(settings, opened)
    feedings = open_feeder(settings, ingest, champions, consent, opened)
    watch_live(metrics, feedings)
    rights = PeopleRights(settings, opened.enter_context(Eraser(settings)))
    api = build_api(
        tags,
        conversions,
        ingest,
        openrtb,
        predictions=shadow,
        feedings=feedings,
        rights=rights,
        memberships=memberships,
    )
    guard = Guard(
        api,
        ring,
        needs=NEEDS,
        open_paths=OPEN_PATHS,
        loopback=free,
        brand_paths=BRAND_PATHS,
        line_paths=LINE_PATHS,
        workers=workers,
        metrics=metrics,
        draining=draining,
    )
    return Opened(guard, champions)
