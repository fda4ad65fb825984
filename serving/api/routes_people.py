"""Routes of people's rights: opt out, delete a tag, be erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import anyio
import orjson
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import RightsError
from serving.api.routes_tags import NoQuery, query_of
from serving.api.who_asks import who_asks
from serving.messages.problems import Problem
from serving.messages.schemas import PERSON_PATTERN, TAG_PATTERN
from serving.rights.people_rights import PeopleRights

_AT_ONCE: Final = 4
_KEY: Final = re.compile(PERSON_PATTERN)
_TAG: Final = re.compile(TAG_PATTERN)


def people_routes(rights: PeopleRights | None) -> list[Route]:
    """Return the routes.

    Parameters
    ----------
    rights
        Does what is asked for; None where nothing can be kept.
    """
    # Beside the workers that score: whoever opts out does not wait for them, nor they for a disk.
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def done(request: Request, job: Callable[[PeopleRights], object]) -> Response:
        query_of(request, NoQuery)
        if rights is None:
            raise Problem(503, "this server keeps nothing of what people ask for")
        try:
            answer = await run_sync(job, rights, limiter=limiter)
        except RightsError as error:
            raise Problem(503, f"not done: {error.problem}", headers={"Retry-After": "5"}) from error
        return Response(orjson.dumps(answer), media_type="application/json")

    async def opt_out(request: Request) -> Response:
        account = who_asks(request)
        return await done(request, lambda it: it.opt_out(it.key_of(account)))

    async def opt_in(request: Request) -> Response:
        account = who_asks(request)
        return await done(request, lambda it: it.opt_in(it.key_of(account)))

    async def delete_tag(request: Request) -> Response:
        account, tag = who_asks(request), request.path_params["tag"]
        if not _TAG.fullmatch(tag):
            raise Problem(422, "no tag has such an id")
        return await done(request, lambda it: it.delete_tag(it.key_of(account), tag))

    async def erase_me(request: Request) -> Response:
        account = who_asks(request)
        return await done(request, lambda it: it.erase(it.key_of(account)))

    async def erase(request: Request) -> Response:
        person = request.path_params["person"]
        if not _KEY.fullmatch(person):
            raise Problem(422, "a person is named by a key of 32 hexadecimal digits, never by an outside id")
        return await done(request, lambda it: it.erase(person))

    async def receipt(request: Request) -> Response:
        return await done(request, lambda it: it.receipt(request.path_params["erasure"]))

    return [
        Route("/v1/people/me/opt-out", opt_out, methods=["PUT"]),
        Route("/v1/people/me/opt-out", opt_in, methods=["DELETE"]),
        Route("/v1/people/me/tags/{tag}", delete_tag, methods=["DELETE"]),
        Route("/v1/people/me", erase_me, methods=["DELETE"]),
        Route("/v1/people/{person}", erase, methods=["DELETE"]),
        Route("/v1/erasures/{erasure}", receipt, methods=["GET"]),
    ]
