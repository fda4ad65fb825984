"""What changed in the memberships, as the client reads it, and how it is applied to a copy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from serving.client.calls import Call


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What changed for one person.

    Attributes
    ----------
    person
        Key; empty where somebody was erased.
    erased
        SHA-256 of the key of somebody who was erased, else empty: whoever has that key is to be dropped.
    gone
        Whether all that was known of the person is to be dropped, before `added` holds.
    added, removed
        Ids of the tags that the person got and lost.
    """

    person: str = ""
    erased: str = ""
    gone: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MembershipsPage:
    """A page of changes that lead from version `since`, or from nothing, to `version`.

    The copy is of `version` once the page whose `next` is None was applied.
    """

    version: str
    since: str | None
    model: str
    as_of: int
    next: str | None
    changes: list[MembershipChange] = field(default_factory=list)
    request_id: str = ""

    def apply(self, copy: dict[str, set[str]]) -> None:
        """Bring a copy, person key → ids of tags, up to date.

        Examples
        --------
        >>> copy = {"a": {"tea"}, "b": {"oil"}}
        >>> changes = [MembershipChange("a", added=["oil"], removed=["tea"]), MembershipChange("b", gone=True)]
        >>> MembershipsPage("2-x", "1-x", "tags-1", 0, None, changes).apply(copy)
        >>> copy
        {'a': {'oil'}}
        """
        erased = {change.erased for change in self.changes if change.erased}
        for person in _with_hash(copy, erased) if erased else ():
            del copy[person]
        for change in self.changes:
            if change.erased:
                continue
            before = set() if change.gone else copy.get(change.person, set())
            tags = before.union(change.added).difference(change.removed)
            copy.pop(change.person, None)
            if tags:
                copy[change.person] = tags


def membership_page(since: str | None, cursor: str | None, limit: int) -> Call[MembershipsPage]:
    """Return the call of `Client.membership_page`."""
    given = {"since": since, "cursor": cursor, "limit": limit}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return Call("GET", f"/v1/memberships?{query}", _page)


def _page(response: httpx.Response) -> MembershipsPage:
    about, *lines = [json.loads(line) for line in response.text.splitlines()]
    known = {name: about[name] for name in ("version", "since", "model", "as_of", "next")}
    changes = [_change(line) for line in lines]
    return MembershipsPage(**known, changes=changes, request_id=response.headers.get("X-Request-Id", ""))


def _change(line: dict[str, Any]) -> MembershipChange:
    known = MembershipChange.__dataclass_fields__
    return MembershipChange(**{name: value for name, value in line.items() if name in known})


def _with_hash(copy: Iterable[str], hashes: set[str]) -> list[str]:
    return [person for person in copy if hashlib.sha256(person.encode()).hexdigest() in hashes]
