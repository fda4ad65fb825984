"""The routes of the prediction API."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import EventLogError, RequestError, RightsError, StoreError, ZhongcaoError
from serving.api.events import EventsRoute, Ingest
from serving.api.openapi import openapi_bytes
from serving.api.route_table import methods_of
from serving.api.routes_memberships import membership_routes
from serving.api.routes_people import people_routes
from serving.api.routes_tags import tag_routes
from serving.champions.health import Liveness, Readiness
from serving.champions.readiness import NOTHING_FED, readiness
from serving.champions.served import Served
from serving.live.feeder import Feeding
from serving.memberships.pages import MembershipPages
from serving.messages.bodies import parse
from serving.messages.conversion_schemas import CONVERSION_PARTS, ConversionsAnswer, ConversionsRequest
from serving.messages.problems import Problem
from serving.messages.schemas import PERSON_PARTS, TagsAnswer, TagsRequest
from serving.openrtb.people import OPENRTB_OFF, OpenRtbSettings
from serving.openrtb.routes import openrtb_routes
from serving.predictions.record import Keeps
from serving.rights.people_rights import PeopleRights
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer

_log = logging.getLogger("zhongcao.serving")


def build_api(
    scorer: Served[Scorer],
    conversions: Served[ConversionScorer],
    ingest: Ingest | ZhongcaoError | None = None,
    openrtb: OpenRtbSettings = OPENRTB_OFF,
    *,
    predictions: Keeps | None = None,
    rights: PeopleRights | None = None,
    memberships: MembershipPages | None = None,
    feedings: Callable[[], Mapping[str, Feeding]] = lambda: NOTHING_FED,
) -> Starlette:
    """Put the routes together.

    Parameters
    ----------
    scorer
        Answers for tags.
    conversions
        Answers for conversions.
    ingest
        Takes events; or why nothing does.
    openrtb
        Whose ids bid requests hold.
    predictions
        Names predictions and keeps a sample of them; without, they have no ids.
    rights
        Does what people ask for about themselves; without, it is refused.
    memberships
        Tells who got or lost which tags; without, it is refused.
    feedings
        Tells how far live events are in the stores.
    """
    no_inbox = EventLogError("this server has no inbox")
    erased = rights.erased_since if rights else lambda _: 0

    async def tags(request: Request) -> Response:
        body = await request.body()

        def score() -> object:
            asked = parse(body, TagsRequest, PERSON_PARTS)
            return scorer.answer(lambda it: _score(it, asked, predictions))

        return await _worked(request, score)

    async def convert(request: Request) -> Response:
        body, now = await request.body(), int(time.time())

        def score() -> ConversionsAnswer:
            asked = parse(body, ConversionsRequest, CONVERSION_PARTS)
            return conversions.answer(lambda it: it.answer(asked, now, predictions))

        return await _worked(request, score)

    async def openapi(_: Request) -> Response:
        return Response(openapi_bytes(), media_type="application/json")

    async def livez(_: Request) -> Response:
        return _json(Liveness(status="live"))

    async def readyz(request: Request) -> Response:
        if request.state.draining:
            raise Problem(503, "draining: this server is about to stop")
        said = await run_sync(lambda: readiness(scorer, conversions, feedings(), erased))
        return _json(said if request.state.admitted else Readiness(status="ready"))

    app = Starlette(
        routes=[
            Route("/v1/tags", tags, methods=["POST"]),
            Route("/v1/conversions", convert, methods=["POST"]),
            Route("/v1/events", EventsRoute(no_inbox if ingest is None else ingest).answer, methods=["POST"]),
            *tag_routes(scorer, erased),
            *openrtb_routes(scorer, openrtb, predictions),
            *people_routes(rights),
            *membership_routes(memberships),
            Route("/v1/openapi.json", openapi, methods=["GET"]),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ],
        exception_handlers=dict.fromkeys(
            (Problem, HTTPException, StoreError, RightsError, RequestError, Exception), _answer
        ),
    )
    # A redirect to the path with another slash would repeat whatever host the caller names.
    app.router.redirect_slashes = False
    return app


async def _worked(request: Request, job: Callable[[], object]) -> Response:
    content: bytes = await request.state.work(lambda: orjson.dumps(job()))
    return Response(content, media_type="application/json")


def _score(scorer: Scorer, asked: TagsRequest, log: Keeps | None) -> object:
    top, least = asked.top, asked.min_probability
    if not asked.explain:
        return scorer.written(asked.people, top=top, min_probability=least, log=log)
    people = scorer.tags(asked.people, top=top, min_probability=least, explain=True, log=log)
    return TagsAnswer(scorer.bundle.version, people)


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, StoreError):
        _log.warning("request %s: %s", request.state.request_id, error.problem)
    return _as_problem(error, request.url.path).response(request.state.request_id)


def _as_problem(error: Exception, path: str) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException(status_code=404):
            return Problem(404, "there is no such route; docs/api.md lists them")
        case HTTPException(status_code=405):
            return Problem(405, "this route does not take this method", headers={"Allow": methods_of(path)})
        case StoreError(problem=problem) | RightsError(problem=problem):
            return Problem(503, f"not ready: {problem}")
        case RequestError():
            return Problem(422, str(error))
        case _:
            return Problem(500, "zhongcao failed; its log has the request id")
