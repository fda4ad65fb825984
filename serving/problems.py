"""Error answers: problem documents (RFC 9457) that say what to mend and never repeat what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response


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
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def response(self, request_id: str) -> Response:
        """Return the answer, with the id under which the log knows the request.

        Examples
        --------
        >>> Problem(413, "too large").response("r1").body
        b'{"type":"about:blank","title":"Content Too Large","status":413,"detail":"too large","request_id":"r1"}'
        """
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        return Response(orjson.dumps(document), self.status, self.headers, media_type="application/problem+json")


# Python 3.13 renamed two of them; the answers stay the same on every version.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
