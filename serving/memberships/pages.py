"""What changed since a version, page by page, as JSON lines for a copy that is kept elsewhere."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import orjson

from features.errors import MembershipsError, StoreError
from features.settings import Settings
from serving.consent.watch import ConsentWatch
from serving.memberships.changes import NO_TAGS, NOBODY, Comparison
from serving.memberships.versions import Version, Versions, bounds_of
from serving.messages.problems import Problem

MOST_LINES: Final = 10_000
USUALLY_LINES: Final = 1_000
VERSION_PATTERN: Final = "^[0-9]{1,12}-[0-9a-f]{12}$"
CURSOR_PATTERN: Final = "^[0-9]{1,12}[.](erased|person)[.][0-9a-f]{0,64}$"
_MOST_RANGES: Final = 16
_NEXT_STEP: Final = "take everything again, without since"


class MembershipPages:
    """Answers from the kept versions, less who must not be known since.

    Parameters
    ----------
    settings
        Where they lie.
    refused
        Returns the keys of people who must not be known.
    deleted
        Returns key → ids of tags that must not be inferred.
    """

    def __init__(
        self,
        settings: Settings,
        refused: Callable[[], AbstractSet[str]] = lambda: NOBODY,
        deleted: Callable[[], Mapping[str, AbstractSet[str]]] = lambda: NO_TAGS,
    ) -> None:
        self._versions = Versions(settings)
        self._refused = refused
        self._deleted = deleted

    def page(self, since: str | None, cursor: str | None, limit: int) -> bytes:
        """Return a page: a line about it, then at most `limit` lines of changes.

        Memory and time are bounded: where little changed, a page ends before it is full.

        Raises
        ------
        Problem
            A version is not kept any more, or none was ever made.
        """
        try:
            return b"".join(
                orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in self._page(since, cursor, limit)
            )
        except (MembershipsError, FileNotFoundError) as error:
            # A version may be deleted while it is read.
            raise Problem(410, f"this version of the memberships is not kept; {_NEXT_STEP}") from error

    def _page(self, since: str | None, cursor: str | None, limit: int) -> list[Mapping[str, Any]]:
        pinned, phase, last = cursor.split(".") if cursor else ("", "erased", "")
        version = self._pinned(int(pinned)) if pinned else self._versions.latest()
        if version is None:
            said = "no version of the memberships was made yet; run `zhongcao memberships export`"
            raise Problem(404, said, kind="no-memberships")
        earlier = None if since is None else self._versions.named(since)
        if earlier is not None and earlier.number > version.number:
            raise Problem(422, "the cursor is of a version before since; leave the cursor out")
        comparison = Comparison(self._versions, earlier, version)
        lines: list[Mapping[str, Any]] = []
        if phase == "erased":
            waiting = [key for key in comparison.erased() if key > last]
            lines += [{"erased": key} for key in waiting[:limit]]
            if len(waiting) >= limit:
                return [_about(version, since, f"erased.{waiting[limit - 1]}"), *lines]
            last = ""
        then = None
        for end, line in self._changes(comparison, last):
            then = end
            if line is not None:
                lines.append(line)
            if len(lines) == limit:
                break
        return [_about(version, since, None if then is None else f"person.{then}"), *lines]

    def _changes(self, comparison: Comparison, last: str) -> Iterator[tuple[str | None, Mapping[str, Any] | None]]:
        """Yield lines after a key, each with the key to go on from; None where there is nothing further."""
        bounds, refused, deleted = bounds_of(comparison.ranges), self._refused(), self._deleted()
        first = bisect_right(bounds, last) - 1
        for number in range(first, min(first + _MOST_RANGES, comparison.ranges)):
            for line in comparison.range(number, refused, deleted).lines():
                if line["person"] > last:
                    yield line["person"], line
            # No key is as short as a bound, so all of the next range are greater.
            yield (bounds[number + 1] if number + 1 < comparison.ranges else None), None

    def _pinned(self, number: int) -> Version:
        for version in self._versions.all():
            if version.number == number:
                return version
        raise MembershipsError("this version of the memberships is not kept", value=number, next_step=_NEXT_STEP)


def _about(version: Version, since: str | None, then: str | None) -> dict[str, Any]:
    return {
        "version": version.name,
        "since": since,
        "model": version.model,
        "as_of": version.as_of,
        "next": None if then is None else f"{version.number}.{then}",
    }


def open_pages(settings: Settings, consent: ConsentWatch) -> MembershipPages:
    """Return what answers from a home's versions, kept up to date on who must not be known since."""
    versions = Versions(settings)

    def as_of() -> int:
        latest = versions.latest()
        if latest is None:
            raise StoreError("no version of the memberships was made yet")
        return latest.as_of

    withdrawn = consent.watch(as_of)
    return MembershipPages(settings, withdrawn, withdrawn.deleted_tags)
