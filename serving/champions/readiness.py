"""Saying what is served, what is not, and which bundle is on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from features.errors import StoreError, ZhongcaoError
from serving.champions.health import FeedReadiness, LiveReadiness, NextReadiness, Readiness
from serving.champions.served import Served, plainly
from serving.live.feeder import Feeding
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer

NOTHING_FED: Final[Mapping[str, Feeding]] = MappingProxyType({})


def readiness(
    tags: Served[Scorer],
    conversions: Served[ConversionScorer],
    feedings: Mapping[str, Feeding] = NOTHING_FED,
    erased_since: Callable[[str], int] = lambda _: 0,
) -> Readiness:
    """Return what is served, and why the rest is not; a server of conversions alone is as ready as one of tags.

    Stores that live events do not reach are answered from all the same: the answers say as of when they are.

    Raises
    ------
    StoreError
        Nothing can be answered, since a store is missing or cannot be read.
    """
    said: Readiness = {"status": "ready"}
    scorer, converts = tags.settle(), conversions.settle()
    if isinstance(scorer, ZhongcaoError):
        said["problem"] = f"tags are not ready: {plainly(scorer)}"
    else:
        info = scorer.check()
        said |= {
            "model": scorer.bundle.version,
            "model_as_of": scorer.bundle.as_of,
            "as_of": info.as_of,
            "people": info.people,
            "tags": len(scorer.bundle.taxonomy.tags),
        }
        if erased := erased_since(scorer.bundle.version):
            said["erased_since"] = erased
        if (following := next_of(tags)) is not None:
            said["next"] = following
    if isinstance(converts, ZhongcaoError):
        said["conversions"] = {"problem": f"not ready: {plainly(converts)}"}
    else:
        try:
            said["conversions"] = {
                "model": converts.bundle.version,
                "model_as_of": converts.bundle.as_of,
                "as_of": (held := converts.check()).as_of,
                "people": held.people,
            }
        except StoreError as error:
            if isinstance(scorer, ZhongcaoError):
                raise
            said["conversions"] = {"model": converts.bundle.version, "problem": f"not ready: {error}"}
        if erased := erased_since(converts.bundle.version):
            said["conversions"]["erased_since"] = erased
        if (following := next_of(conversions)) is not None:
            said["conversions"]["next"] = following
    if feedings:
        said["live_events"] = LiveReadiness(**{name: _fed(state) for name, state in feedings.items()})  # type: ignore[typeddict-item]
    return said


def _fed(state: Feeding) -> FeedReadiness:
    said: FeedReadiness
    if state.problem:
        said = {"problem": state.problem, "failures": state.failures}
    else:
        said = {"behind": state.behind or 0, "lag_seconds": state.seconds}
    if state.aside:
        said["aside"] = state.aside
    if state.lacks:
        said["lacks"] = state.lacks
    return said


def next_of(served: Served[Any]) -> NextReadiness | None:
    """Return what is on its way to take the place of what answers."""
    following = served.next
    if following is None:
        return None
    said: NextReadiness = {"bundle": following.bundle, "state": following.state}
    if following.problem is not None:
        said["problem"] = plainly(following.problem)
    return said
