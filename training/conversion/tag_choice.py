"""Which bundle of tag models scores the rows of impressions: the one that was named, or the newest of the home."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from features.days import day_text
from features.errors import BundleError, TrainingError
from features.settings import Settings
from training.bundles.champion import verify_bundle
from training.bundles.manifest import TAGS
from training.conversion.tag_scorer import PeopleScorer
from training.tags.bundle import Bundle, load_bundle

NEWEST: Final = "newest"
"""Asks for the newest bundle of the home that knows nothing of the impressions."""


def chosen_tags(
    settings: Settings, asked: str | None, start: int, timezone: str, say: Callable[[str], None]
) -> Path | None:
    """Return the folder of the bundle that scores, and say which and why.

    Parameters
    ----------
    settings
        Where the bundles lie.
    asked
        A name among the home's bundles, a folder, ``NEWEST``, or None for no scores.
    start
        When the impressions to learn from start, epoch seconds. A newer bundle is chosen only where it is named: it
        costs the impressions before its own date.
    timezone
        The log's time zone.
    say
        Tells the user.

    Raises
    ------
    BundleError
        The bundle that was named is corrupt, foreign or not there.
    TrainingError
        It has no tags that a pattern made.
    """
    if asked is None:
        return None
    if asked != NEWEST:
        folder = Path(asked) if Path(asked).is_dir() else settings.bundles_dir / asked
        bundle = _usable(folder)
        say(f"scores of tags: those of {bundle.version}, as of {day_text(bundle.as_of, timezone)}, as was asked")
        return folder
    day = day_text(start, timezone)
    for folder in _newest_first(settings, start):
        try:
            bundle = _usable(folder)
        except (BundleError, TrainingError) as error:
            say(f"{folder.name} is passed over: {error}")
            continue
        say(
            f"scores of tags: those of {bundle.version}, as of {day_text(bundle.as_of, timezone)}, the newest "
            f"bundle of this home that knows nothing of the impressions, which start on {day}; --tags none for none"
        )
        return folder
    say(
        f"no scores of tags: this home has no tag models as of {day} or earlier, when the impressions to learn "
        f"from start; zhongcao train tags --taxonomy FILE --as-of {day} makes some"
    )
    return None


def _usable(folder: Path) -> Bundle:
    verify_bundle(folder)
    bundle = load_bundle(folder)
    if not PeopleScorer(bundle).patterns:
        raise TrainingError(
            f"no tag of {bundle.version} can score the notes of a category: a pattern made none that was learned",
            next_step="train tags with a taxonomy that has patterns, or give --tags none",
        )
    return bundle


def _newest_first(settings: Settings, start: int) -> list[Path]:
    """Return the folders of tag bundles that know nothing from an instant on; nothing of them is checked yet.

    Of one date the one that was written last comes first.
    """
    found = []
    for about in settings.bundles_dir.glob(f"{TAGS.name}-*/about.json"):
        try:
            as_of, written = int(json.loads(about.read_text(encoding="utf-8"))["as_of"]), about.stat().st_mtime_ns
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if as_of <= start:
            found.append((as_of, written, about.parent))
    return [folder for _, _, folder in sorted(found, reverse=True)]
