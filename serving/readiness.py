"""Saying what is served, what is not, and which bundle is on its way."""

from __future__ import annotations

from typing import Any

from features.errors import StoreError, ZhongcaoError
from serving.conversions import ConversionScorer
from serving.health import NextReadiness, Readiness
from serving.scorer import Scorer
from serving.served import Served, plainly


def readiness(tags: Served[Scorer], conversions: Served[ConversionScorer]) -> Readiness:
    """Return what is served, and why the rest is not; a server of conversions alone is as ready as one of tags.

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
        if (following := next_of(conversions)) is not None:
            said["conversions"]["next"] = following
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
