"""Opening what answers: champions are verified and warm before anybody asks."""

from __future__ import annotations

from contextlib import ExitStack

from features.errors import BundleError, StoreError, ZhongcaoError
from features.identity import load_key
from features.settings import Settings
from serving.added_columns import open_store
from serving.consent_watch import ConsentWatch
from serving.conversions import ConversionScorer
from serving.scorer import Scorer
from serving.sqlite_histories import SqliteHistories
from training.bundle import load_bundle
from training.champion import champion_path, verify_bundle
from training.conversion.bundle import load_conversion_bundle
from training.manifest import CONVERSION

TagsOrNot = Scorer | ZhongcaoError
ConversionsOrNot = ConversionScorer | ZhongcaoError


def open_scorers(
    settings: Settings, consent: ConsentWatch, opened: ExitStack
) -> tuple[TagsOrNot, ConversionsOrNot]:
    """Open the scorers of both champions.

    Parameters
    ----------
    settings
        Where everything lies.
    consent
        Tells them who has withdrawn consent; not started yet.
    opened
        Closes the stores.

    Returns
    -------
    tuple
        The scorer of tags and that of conversions; where a champion was never promoted, the error that says so.
        One of them is there.

    Raises
    ------
    BundleError
        There is no champion at all, or one is corrupt.
    StoreError
        The online store is missing or was filled for another bundle.
    """
    conversions = _conversions(settings, consent, opened)
    try:
        folder = champion_path(settings)
    except BundleError as error:
        if settings.champion_file.exists() or isinstance(conversions, ZhongcaoError):
            raise
        return error, conversions
    verify_bundle(folder)
    bundle = load_bundle(folder)
    bundle.model.warm()
    store = open_store(settings, bundle.layout)
    opened.callback(store.close)
    withdrawn = consent.watch(lambda: store.describe().as_of)
    return Scorer(bundle, store, load_key(settings), withdrawn), conversions


def _conversions(settings: Settings, consent: ConsentWatch, opened: ExitStack) -> ConversionsOrNot:
    try:
        folder = champion_path(settings, CONVERSION)
    except BundleError as error:
        if settings.conversion_champion_file.exists():
            raise
        return error
    verify_bundle(folder, CONVERSION)
    bundle = load_conversion_bundle(folder)
    bundle.model.warm()
    store = SqliteHistories(settings.histories_file)
    opened.callback(store.close)
    withdrawn = consent.watch(lambda: store.describe().as_of)
    return ConversionScorer(bundle, store, load_key(settings), withdrawn)


def what_is_served(tags: TagsOrNot, conversions: ConversionsOrNot) -> list[str]:
    """Return a line per champion, for whoever starts a server."""
    lines = []
    if isinstance(tags, Scorer):
        lines.append(
            f"model {tags.bundle.version}: {len(tags.bundle.taxonomy.tags)} tags, {tags.check().people} people"
        )
    if isinstance(conversions, ConversionScorer):
        model = conversions.bundle.version
        try:
            lines.append(f"model {model}: conversions, {conversions.check().people} people")
        except StoreError as error:
            # Tags are answered all the same, and a fill is noticed by the next request.
            lines.append(f"model {model}: conversions are not answered yet: {error}")
    return lines
