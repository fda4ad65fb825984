"""The kinds of errors that the API answers with: stable types that programs tell apart, by version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TYPES: Final = "urn:problem-type:zhongcao:v1:"


@dataclass(frozen=True)
class ProblemKind:
    """One kind of error.

    Parameters
    ----------
    name
        Last part of its type; a name keeps its meaning as long as the version in the type stays.
    status
        HTTP status code.
    title
        The same for every error of the kind.
    meaning
        When it is answered, one clause.
    again
        Whether the same request can succeed later, without being changed.
    """

    name: str
    status: int
    title: str
    meaning: str
    again: bool = False

    @property
    def type(self) -> str:
        """What stands in the answer's field ``type``."""
        return _TYPES + self.name


KINDS: Final = (
    ProblemKind("unreadable", 400, "Bad Request", "the body is not JSON, is nested too deep, or was cut off"),
    ProblemKind("key-needed", 401, "Unauthorized", "no API key, or one that is wrong, revoked or expired"),
    ProblemKind("not-allowed", 403, "Forbidden", "the key lacks the scope, or is for one brand only"),
    ProblemKind("no-such-route", 404, "Not Found", "there is no such route"),
    ProblemKind("no-such-tag", 404, "No Such Tag", "the serving taxonomy has no tag of this id"),
    ProblemKind("no-such-erasure", 404, "No Such Erasure", "no erasure has this id"),
    ProblemKind("no-memberships", 404, "No Memberships", "no version of the memberships was made yet"),
    ProblemKind("no-such-method", 405, "Method Not Allowed", "the route does not take this method"),
    ProblemKind(
        "no-such-version", 410, "Gone", "the version of the memberships is not kept; take everything again"
    ),
    ProblemKind("too-large", 413, "Content Too Large", "the body has too many bytes, or too many events"),
    ProblemKind("other-content", 415, "Unsupported Media Type", "the body is not of a type that the route takes"),
    ProblemKind("not-valid", 422, "Unprocessable Content", "a field is missing, unknown or out of range"),
    ProblemKind("too-many", 429, "Too Many Requests", "the caller sends more than is taken now", again=True),
    ProblemKind("failed", 500, "Internal Server Error", "zhongcao failed; its log has the request id"),
    ProblemKind("not-ready", 503, "Service Unavailable", "what the route needs is not there yet", again=True),
    ProblemKind("overloaded", 503, "Overloaded", "more requests at once than are worked on", again=True),
    ProblemKind("too-late", 503, "Too Late", "no answer within the server's time limit", again=True),
)
"""All kinds; of those with one status the first is meant where nothing else is said."""

KIND_OF_NAME: Final = {kind.name: kind for kind in KINDS}
"""Name → kind."""

_BY_STATUS: Final = {kind.status: kind for kind in reversed(KINDS)}


def kind_of(status: int, name: str | None = None) -> ProblemKind:
    """Return the kind of that name, or the usual one of a status.

    Examples
    --------
    >>> kind_of(503).type, kind_of(503, "overloaded").title
    ('urn:problem-type:zhongcao:v1:not-ready', 'Overloaded')
    """
    return _BY_STATUS[status] if name is None else KIND_OF_NAME[name]
