"""Opening what answers: champions are verified and warm before anybody asks."""

from __future__ import annotations

from contextlib import ExitStack

from features.errors import StoreError, ZhongcaoError
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
        The scorer of tags and that of conversions; in place of one that cannot answer, the error that says why.
        One of them is there.

    Raises
    ------
    BundleError
        There is no champion at all, or none that can serve: one is corrupt or of another version.
    StoreError
        The online store is missing or was filled for another bundle, and there are no conversions either.
    """
    tags = _tags(settings, consent, opened)
    conversions = _conversions(settings, consent, opened)
    if isinstance(tags, ZhongcaoError) and isinstance(conversions, ZhongcaoError):
        promoted = settings.champion_file.exists() or not settings.conversion_champion_file.exists()
        raise tags if promoted else conversions
    return tags, conversions


def _tags(settings: Settings, consent: ConsentWatch, opened: ExitStack) -> TagsOrNot:
    try:
        folder = champion_path(settings)
        verify_bundle(folder)
        bundle = load_bundle(folder)
        bundle.model.warm()
        store = open_store(settings, bundle.layout)
        opened.callback(store.close)
        withdrawn = consent.watch(lambda: store.describe().as_of)
        return Scorer(bundle, store, load_key(settings), withdrawn)
    except ZhongcaoError as error:
        return error


def _conversions(settings: Settings, consent: ConsentWatch, opened: ExitStack) -> ConversionsOrNot:
    try:
        folder = champion_path(settings, CONVERSION)
        verify_bundle(folder, CONVERSION)
        bundle = load_conversion_bundle(folder)
        bundle.model.warm()
        store = SqliteHistories(settings.histories_file)
        opened.callback(store.close)
        withdrawn = consent.watch(lambda: store.describe().as_of)
        return ConversionScorer(bundle, store, load_key(settings), withdrawn)
    except ZhongcaoError as error:
        return error


def what_is_served(tags: TagsOrNot, conversions: ConversionsOrNot) -> list[str]:
    """Return a line per champion, for whoever starts a server; what does not answer says why."""
    lines = []
    if isinstance(tags, ZhongcaoError):
        lines.append(f"tags are not answered: {tags}")
    else:
        lines.append(
            f"model {tags.bundle.version}: {len(tags.bundle.taxonomy.tags)} tags, {tags.check().people} people"
        )
    if isinstance(conversions, ZhongcaoError):
        lines.append(f"conversions are not answered: {conversions}")
    else:
        model = conversions.bundle.version
        try:
            people = conversions.check().people
            conversions.warm()
            lines.append(f"model {model}: conversions, {people} people")
        except StoreError as error:
            # Tags are answered all the same, and a fill is noticed by the next request.
            lines.append(f"model {model}: conversions are not answered yet: {error}")
    return lines
