"""Error answers: problem documents (RFC 9457) that say what to mend and never repeat what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from serving.messages.problem_kinds import kind_of


class Problem(Exception):  # noqa: N818
    """An answer other than success, raised anywhere on the way of a request.

    Parameters
    ----------
    status
        HTTP status code.
    detail
        What is wrong and what to do, one sentence.
    errors
        Single faults: ``where`` in the body and ``problem``.
    headers
        Further headers of the answer.
    kind
        Name of a kind of `serving.messages.problem_kinds`; by default the usual one of the status.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.kind = kind_of(status, kind)

    def response(self, request_id: str) -> Response:
        """Return the answer, with the id under which the log knows the request.

        Examples
        --------
        >>> document = orjson.loads(Problem(413, "too large").response("r1").body)
        >>> document["type"], document["title"], document["request_id"]
        ('urn:problem-type:zhongcao:v1:too-large', 'Content Too Large', 'r1')
        """
        document: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        return Response(orjson.dumps(document), self.status, self.headers, media_type="application/problem+json")
