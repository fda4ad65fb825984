"""Opening what answers: champions are verified and warm before anybody asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.errors import BundleError, StoreError, ZhongcaoError
from features.people.identity import load_key
from features.settings import Settings
from serving.champions.follow import Follower
from serving.champions.served import Served
from serving.consent.watch import ConsentWatch
from serving.histories.sqlite_store import SqliteHistories
from serving.online.added_columns import read_in
from serving.online.choice import open_store
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from training.bundles.champion import verify_named
from training.bundles.manifest import CONVERSION, TAGS
from training.conversion.bundle import load_conversion_bundle
from training.tags.bundle import load_bundle

TagsOrNot = Scorer | ZhongcaoError
ConversionsOrNot = ConversionScorer | ZhongcaoError
_STARTING: Final = BundleError("the champion is not loaded yet")


@dataclass(frozen=True)
class Champions:
    """What answers, and what follows the pointers once it is started.

    Parameters
    ----------
    tags, conversions
        What answers now; in place of a scorer that cannot, the error that says why.
    followers
        One a kind; each is a context while which its pointer is followed.
    """

    tags: Served[Scorer]
    conversions: Served[ConversionScorer]
    followers: tuple[Follower[Scorer], Follower[ConversionScorer]]


def open_scorers(settings: Settings, consent: ConsentWatch, opened: ExitStack) -> Champions:
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
    Champions
        At least one of the scorers is there.

    Raises
    ------
    BundleError
        There is no champion at all, or none that can serve: one is corrupt or of another version.
    StoreError
        The online store is missing or was filled for another bundle, and there are no conversions either.
    """
    tags: Served[Scorer] = Served(_STARTING)
    conversions: Served[ConversionScorer] = Served(_STARTING)
    champions = Champions(
        tags,
        conversions,
        (
            Follower(settings, TAGS, tags, _tags(settings, consent, opened), verify=verify_named),
            Follower(
                settings, CONVERSION, conversions, _conversions(settings, consent, opened), verify=verify_named
            ),
        ),
    )
    for follower in champions.followers:
        follower.look()
    if isinstance(tags.now, ZhongcaoError) and isinstance(conversions.now, ZhongcaoError):
        promoted = settings.champion_file.exists() or not settings.conversion_champion_file.exists()
        raise tags.now if promoted else conversions.now
    return champions


def _tags(settings: Settings, consent: ConsentWatch, opened: ExitStack) -> Callable[[Path], Callable[[], Scorer]]:
    # One store and one watch for every bundle that will ever serve: nothing is left behind by a swap.
    store = open_store(settings)
    opened.callback(store.close)
    withdrawn = consent.watch(lambda: store.describe().as_of)

    def load(folder: Path) -> Callable[[], Scorer]:
        bundle = load_bundle(folder)
        bundle.model.warm()
        key = load_key(settings)
        return lambda: Scorer(
            bundle, read_in(store, settings, bundle.layout), key, withdrawn, withdrawn.deleted_tags
        )

    return load


def _conversions(
    settings: Settings, consent: ConsentWatch, opened: ExitStack
) -> Callable[[Path], Callable[[], ConversionScorer]]:
    store = SqliteHistories(settings.histories_file)
    opened.callback(store.close)
    withdrawn = consent.watch(lambda: store.describe().as_of)

    def load(folder: Path) -> Callable[[], ConversionScorer]:
        bundle = load_conversion_bundle(folder)
        bundle.model.warm()
        scorer = ConversionScorer(bundle, store, load_key(settings), withdrawn, withdrawn.deleted_tags)

        def warm() -> ConversionScorer:
            # Where the store is not filled, whoever takes the place of another is no more helpless than that.
            with suppress(StoreError):
                scorer.check()
                scorer.warm()
            return scorer

        return warm

    return load


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
