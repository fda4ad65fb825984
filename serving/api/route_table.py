"""Every route of the API: who may call it, what it takes, what it answers; documents and the guard read this."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from features.erasure.erasures import Receipt
from serving.api.events import EventsAnswer
from serving.api.live_schema import EVENTS_BODY
from serving.api.route_examples import EXAMPLES
from serving.api.routes_memberships import CHANGED_LINES, ChangesRequest
from serving.api.routes_tags import PageRequest
from serving.champions.health import Liveness, Readiness
from serving.guard.access import Scope
from serving.messages.conversion_schemas import ConversionsAnswer, ConversionsRequest
from serving.messages.schemas import PERSON_PATTERN, TAG_PATTERN, TagsAnswer, TagsRequest
from serving.messages.tag_schemas import CatalogueAnswer, LabelAnswer, OwnTagsAnswer
from serving.openrtb.enrich import STATUSES
from serving.openrtb.routes import PREDICTION_HEADER, STATUS_HEADER
from serving.openrtb.schemas import BidRequest
from serving.rights.people_rights import DeletedTagAnswer, OptOutAnswer

_ANY: Final = ("key-needed", "not-allowed", "not-valid", "too-many", "failed", "overloaded", "too-late")
_BODY: Final = ("unreadable", "too-large", "other-content", "not-valid")


@dataclass(frozen=True)
class PathValue:
    """What may stand for a name in braces of a path.

    Parameters
    ----------
    meaning
        What it names.
    pattern
        That it matches.
    example
        One of them.
    """

    meaning: str
    pattern: str
    example: str


_TAG: Final = PathValue("Id of the tag.", TAG_PATTERN, "dairy.will-buy")


@dataclass(frozen=True)
class RouteSpec:
    """One route.

    Parameters
    ----------
    method, path
        As it is called; a part of the path in braces stands for a value.
    name
        Of the operation, for programs that are made from the document.
    summary
        What it does, one sentence.
    scope
        What a key needs for it; None where nobody needs one.
    answer
        Type of the answer with status 200.
    request
        Type of the body, or its schema; None for routes without one.
    query
        Model whose fields may follow the question mark.
    about_me
        Whether headers must say whose account it is about.
    path_values
        Name in braces → what may stand there.
    answer_headers, some_answer_headers
        Name of a header of every answer, of some answers → meaning.
    problems
        Names of the kinds of errors that it answers with, besides those that every route has.
    brand
        Whether a key for one brand opens it.
    lines
        Whether it takes JSON lines, too.
    answer_lines
        Whether its answer is JSON lines.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    summary: str
    scope: Scope | None
    answer: Any
    request: Any = None
    query: Any = None
    about_me: bool = False
    path_values: Mapping[str, PathValue] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    some_answer_headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    brand: bool = False
    lines: bool = False
    answer_lines: bool = False

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Names of all kinds of errors that it answers with."""
        always = ("failed", "too-late") if self.scope is None else _ANY
        return tuple(dict.fromkeys((*always, *(_BODY if self.request is not None else ()), *self.problems)))

    @property
    def examples(self) -> tuple[Any, Any]:
        """A body and an answer; None where there is none."""
        return EXAMPLES.get(self.name, (None, None))


ROUTES: Final = (
    RouteSpec(
        "POST", "/v1/tags", "tags", "The tags of people, most probable first.", "predict", TagsAnswer,
        request=TagsRequest, problems=("not-ready",),
    ),
    RouteSpec(
        "GET", "/v1/tags", "catalogue", "All tags of the serving taxonomy, page by page.", "predict",
        CatalogueAnswer, query=PageRequest, problems=("not-valid", "no-such-tag", "not-ready"),
    ),
    RouteSpec(
        "GET", "/v1/tags/{tag}", "tag", "One tag with its nutrition label.", "predict", LabelAnswer,
        path_values={"tag": _TAG}, problems=("not-valid", "no-such-tag", "not-ready"),
    ),
    RouteSpec(
        "GET", "/v1/people/me/tags", "own_tags", "What a person may see of themselves, through the platform.",
        "predict", OwnTagsAnswer, problems=("not-valid", "not-ready"),
        about_me=True,
    ),
    RouteSpec(
        "PUT", "/v1/people/me/opt-out", "opt_out", "Be personalised no more, from the next request on.",
        "predict", OptOutAnswer, problems=("not-ready",), about_me=True,
    ),
    RouteSpec(
        "DELETE", "/v1/people/me/opt-out", "opt_in", "Take an opt-out back.",
        "predict", OptOutAnswer, problems=("not-ready",), about_me=True,
    ),
    RouteSpec(
        "DELETE", "/v1/people/me/tags/{tag}", "delete_tag", "Have a tag never inferred of oneself again.",
        "predict", DeletedTagAnswer, problems=("not-ready",), about_me=True,
        path_values={"tag": _TAG},
    ),
    RouteSpec(
        "DELETE", "/v1/people/me", "erase_me", "Erase whoever has an account, with all accounts, from every place.",
        "admin", Receipt, problems=("not-ready",), about_me=True,
    ),
    RouteSpec(
        "DELETE", "/v1/people/{person}", "erase", "Erase a person, with all accounts, from every place.",
        "admin", Receipt, problems=("not-valid", "not-ready"),
        path_values={
            "person": PathValue("Key of the person; never an outside id.", PERSON_PATTERN, "4f" * 16),
        },
    ),
    RouteSpec(
        "GET", "/v1/erasures/{erasure}", "receipt", "The receipt of an erasure: what was done where.",
        "admin", Receipt, problems=("no-such-erasure", "not-ready"),
        path_values={"erasure": PathValue("Id of the erasure.", "^[0-9a-f]{16}$", "1c0a52ffb6e07d93")},
    ),
    RouteSpec(
        "POST", "/v1/conversions", "conversions", "What would follow if a person saw some notes.", "predict",
        ConversionsAnswer, request=ConversionsRequest, problems=("not-ready",),
    ),
    RouteSpec(
        "POST", "/v1/openrtb/enrich", "openrtb_enrich", "Add segments to an OpenRTB 2.6 bid request in time.",
        "predict", BidRequest, request=BidRequest, problems=("not-ready",),
        answer_headers={
            STATUS_HEADER: "`enriched`; or why the request comes back as it was sent: "
            + ", ".join(f"`{status}`" for status in STATUSES if status != "enriched") + "."
        },
        some_answer_headers={PREDICTION_HEADER: "Names the prediction that the segments are of."},
    ),
    RouteSpec(
        "POST", "/v1/events", "events", "Take events, with a verdict on each.", "ingest", EventsAnswer,
        request=EVENTS_BODY, problems=("too-many", "not-ready"), brand=True, lines=True,
    ),
    RouteSpec(
        "GET", "/v1/memberships", "memberships", "Who has which tags, or who got or lost which since a version.",
        "export", CHANGED_LINES, query=ChangesRequest,
        problems=("not-valid", "no-memberships", "no-such-version", "not-ready"),
        answer_lines=True,
    ),
    RouteSpec("GET", "/livez", "livez", "Whether the process runs.", None, Liveness),
    RouteSpec(
        "GET", "/readyz", "readyz", "Whether predictions can be answered; says more to who may know.", None,
        Readiness, problems=("not-ready",),
    ),
    RouteSpec(
        "GET", "/v1/openapi.json", "openapi", "This document.", "predict", dict[str, Any], problems=(),
    ),
)  # fmt: skip


class Needs(Mapping[str, Scope]):
    """Path of a request → scope that it needs; a path of no route is not in it.

    Examples
    --------
    >>> Needs(ROUTES)["/v1/tags/dairy.will-buy"], "/v1/tags/a/b" in Needs(ROUTES)
    ('predict', False)
    """

    def __init__(self, routes: tuple[RouteSpec, ...]) -> None:
        self._exact = {route.path: route.scope or "predict" for route in routes if not route.path_values}
        self._patterns = {
            re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path))): route.scope or "predict"
            for route in routes
            if route.path_values
        }

    def __getitem__(self, path: str) -> Scope:
        if path in self._exact:
            return self._exact[path]
        for pattern, scope in self._patterns.items():
            if pattern.fullmatch(path):
                return scope
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


def methods_of(path: str) -> str:
    """Return the methods that a path takes, as the header ``Allow`` lists them.

    Examples
    --------
    >>> methods_of("/v1/tags"), methods_of("/v1/conversions")
    ('GET, HEAD, POST', 'POST')
    """
    found = {route.method for route in ROUTES if route.path == path or path in Needs((route,))}
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


NEEDS: Final = Needs(ROUTES)
"""Path → scope that a key needs for it."""

OPEN_PATHS: Final = frozenset(route.path for route in ROUTES if route.scope is None)
"""Health checks, which need no key; `/readyz` says more to those who have one."""

BRAND_PATHS: Final = frozenset(route.path for route in ROUTES if route.brand)
"""Paths that a key for one brand opens, too."""

LINE_PATHS: Final = frozenset(route.path for route in ROUTES if route.lines)
"""Paths that take JSON lines, too."""
