"""Whether a challenger can score what was read for the champion, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from features.impressions.features import ImpressionFeatures
from features.taxonomy.taxonomy import Taxonomy
from training.bundles.manifest import TAGS, Kind
from training.conversion.bundle import ConversionBundle, load_conversion_bundle
from training.tags.bundle import Bundle, load_bundle

_SHOWN: Final = 3
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Comparable:
    """What two models have in common.

    Parameters
    ----------
    columns
        Place of each of the challenger's columns among the champion's.
    names
        Tags or targets that both know, and that mean the same to both.
    theirs, ours
        Their places in the champion's scores and in the challenger's.
    theirs_at, ours_at
        Score from which each model assigns a tag; infinite for targets.
    """

    columns: Places
    names: tuple[str, ...]
    theirs: Places
    ours: Places
    theirs_at: NDArray[np.float64]
    ours_at: NDArray[np.float64]


def comparable_tags(champion: Bundle, challenger: Bundle) -> Comparable:
    """Return how a challenger reads the rows of a champion of tags.

    Raises
    ------
    StoreError
        The rows lack columns that it reads, or mean something else by them.
    """
    columns = _places(champion.layout.columns, challenger.layout.columns)
    theirs, ours = champion.taxonomy, challenger.taxonomy
    members, rules = dict(theirs.scopes.members), _rules(theirs)
    other = [name for name, categories in ours.scopes.members if members.get(name, categories) != categories]
    other += [tag for tag, rule in _rules(ours).items() if rules.get(tag, rule) != rule]
    if other:
        raise StoreError("the store's rows mean something else by what the challenger reads", value=other[:_SHOWN])
    learned = [
        [tag.id for tag, on in zip(one.taxonomy.tags, one.model.active, strict=True) if on]
        for one in (champion, challenger)
    ]
    both = [tag for tag in learned[1] if tag in learned[0]]
    places = _both_places(both, *([tag.id for tag in one.tags] for one in (theirs, ours)))
    at = (np.asarray(one.model.assign_at)[of] for one, of in zip((champion, challenger), places, strict=True))
    return Comparable(columns, tuple(both), *places, *at)


def comparable_conversions(champion: ConversionBundle, challenger: ConversionBundle) -> Comparable:
    """Return how a challenger reads the rows of a champion of conversions; raises as `comparable_tags`."""
    columns = _places(champion.model.features, challenger.model.features)
    theirs, ours = (ImpressionFeatures.of_json(one.about["features"]) for one in (champion, challenger))
    if (theirs.platforms, theirs.verticals) != (ours.platforms, ours.verticals):
        raise StoreError("the champion's rows number other platforms or verticals than the challenger reads")
    if challenger.tags_bundle and challenger.tags_bundle != champion.tags_bundle:
        raise StoreError(
            "the champion's rows hold scores of other tag models than the challenger reads",
            value=champion.tags_bundle,
            valid=[challenger.tags_bundle],
        )
    windows = champion.model.window_days
    both = [target for target, days in challenger.model.window_days.items() if windows.get(target) == days]
    places = _both_places(both, list(champion.model.targets), list(challenger.model.targets))
    never = np.full(len(both), np.inf)
    return Comparable(columns, tuple(both), *places, never, never)


def why_not_comparable(champion: Path, challenger: Path, kind: Kind) -> str:
    """Say why a challenger cannot score what is read for a champion; empty where it can.

    Parameters
    ----------
    champion, challenger
        Folders of the bundles.
    kind
        What they hold.
    """
    try:
        if kind is TAGS:
            comparable_tags(*(load_bundle(folder) for folder in (champion, challenger)))
        else:
            comparable_conversions(*(load_conversion_bundle(folder) for folder in (champion, challenger)))
    except StoreError as error:
        return str(error)
    return ""


def _places(there: tuple[str, ...], read: tuple[str, ...]) -> Places:
    place = {name: number for number, name in enumerate(there)}
    missing = [name for name in read if name not in place]
    if missing:
        raise StoreError("the champion's rows lack columns that the challenger reads", value=missing[:_SHOWN])
    return np.array([place[name] for name in read], np.intp)


def _rules(taxonomy: Taxonomy) -> dict[str, tuple[object, ...]]:
    return {tag.id: (tag.rule.text if tag.rule else "", tag.scope, tag.horizon_days) for tag in taxonomy.tags}


def _both_places(names: list[str], theirs: list[str], ours: list[str]) -> tuple[Places, Places]:
    if not names:
        raise StoreError("champion and challenger have no tag or target in common")
    first, second = (np.array([known.index(name) for name in names], np.intp) for known in (theirs, ours))
    return first, second
