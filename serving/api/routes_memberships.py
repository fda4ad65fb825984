"""The route of memberships: what changed since a version."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import anyio
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.api.routes_tags import query_of
from serving.guard.limits import LINES_TYPE
from serving.memberships.pages import (
    CURSOR_PATTERN,
    MOST_LINES,
    USUALLY_LINES,
    VERSION_PATTERN,
    MembershipPages,
)
from serving.messages.problems import Problem

_AT_ONCE: Final = 2
CHANGED_LINES: Final = {
    "type": "string",
    "description": "A JSON object a line. The first has the fields version, since, model, as_of and next, the "
    "cursor of the next page or null. Each further one has erased, the SHA-256 of the key of somebody to drop; "
    "or person, with gone, added and removed where they are. Lines are applied in their order.",
}


class ChangesRequest(BaseModel):
    """What may follow the question mark of ``GET /v1/memberships``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[str, Field(pattern=VERSION_PATTERN)] | None = None
    cursor: Annotated[str, Field(pattern=CURSOR_PATTERN)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_LINES)] = USUALLY_LINES


def membership_routes(pages: MembershipPages | None) -> list[Route]:
    """Return the routes.

    Parameters
    ----------
    pages
        Answers; None where nothing is kept.
    """
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def changed(request: Request) -> Response:
        asked = query_of(request, ChangesRequest)
        if pages is None:
            raise Problem(503, "this server keeps no memberships")
        job = partial(pages.page, asked.since, asked.cursor, asked.limit)
        content: bytes = await request.state.work_beside(job, lambda page: page, limiter)
        return Response(content, media_type=LINES_TYPE)

    return [Route("/v1/memberships", changed, methods=["GET"])]
