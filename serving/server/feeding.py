"""What a server feeds with live events, and what it says about how far that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import cast

from features.errors import StoreError, ZhongcaoError
from features.inbox.file import LOG_READER
from features.settings import Settings
from serving.api.events import Ingest
from serving.champions.open_scorers import Champions
from serving.champions.readiness import NOTHING_FED
from serving.consent.watch import ConsentWatch, Withdrawn
from serving.histories.sqlite_store import SqliteHistories
from serving.live.fed import Fed
from serving.live.feed_histories import FedHistories
from serving.live.feed_tags import FedTags
from serving.live.feeder import Feeder, Feeding
from serving.live.imports import ImportWatch
from serving.online.choice import open_store
from serving.online.live_rows import RowBundle


def open_feeder(
    settings: Settings,
    ingest: Ingest | ZhongcaoError,
    champions: Champions,
    consent: ConsentWatch,
    opened: ExitStack,
) -> Callable[[], Mapping[str, Feeding]]:
    """Feed what the champions read for as long as `opened` is.

    Parameters
    ----------
    settings
        Where the stores lie.
    ingest
        Whose events; nothing is fed where there are none.
    champions
        What answers.
    consent
        Tells who has withdrawn.
    opened
        Ends it all.

    Returns
    -------
    callable
        Tells how far each is.
    """
    if isinstance(ingest, ZhongcaoError):
        return lambda: NOTHING_FED
    inbox = ingest.inbox
    store, histories = open_store(settings), SqliteHistories(settings.histories_file)
    opened.callback(store.close)
    opened.callback(histories.close)

    def bundle() -> RowBundle:
        scorer = champions.tags.settle()
        if isinstance(scorer, ZhongcaoError):
            raise StoreError("tags are not answered")
        return cast(RowBundle, scorer.bundle)

    def watched(as_of: Callable[[], int]) -> Withdrawn:
        made = consent.watch(as_of)
        made.look(settings)
        return made

    tags = FedTags(store, bundle, watched(lambda: store.describe().as_of))
    tags.warm()
    fed: list[Fed] = [
        tags,
        FedHistories(histories, inbox.log.timezone, watched(lambda: histories.describe().as_of)),
    ]
    feeder = opened.enter_context(Feeder(inbox, fed))
    moving, imports = ingest.moving, ImportWatch(settings)

    def states() -> dict[str, Feeding]:
        moved = moving()
        to_log = Feeding(moved.waiting, moved.seconds, moved.problem, moved.failures, moved.aside)
        lacks = imports.look()
        fed_now = {one.name: replace(feeder.state(one.name), lacks=lacks.get(one.name, "")) for one in fed}
        return fed_now | {LOG_READER: to_log}

    return states
