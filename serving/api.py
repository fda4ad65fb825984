"""The routes of the prediction API."""

from __future__ import annotations

import logging
import time
from typing import Any, TypeVar

import anyio
import orjson
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import BundleError, EventLogError, RequestError, StoreError, ZhongcaoError
from serving.bodies import parse
from serving.conversion_schemas import CONVERSION_PARTS, ConversionsRequest
from serving.conversions import ConversionScorer
from serving.events import EventsRoute, Ingest
from serving.health import Liveness, Readiness
from serving.openapi import openapi_bytes
from serving.openrtb_people import OPENRTB_OFF, OpenRtbSettings
from serving.problems import Problem
from serving.route_table import methods_of
from serving.routes_openrtb import openrtb_routes
from serving.routes_tags import tag_routes
from serving.schemas import PERSON_PARTS, TagsAnswer, TagsRequest
from serving.scorer import Scorer

Answers = TypeVar("Answers", Scorer, ConversionScorer)
_log = logging.getLogger("zhongcao.serving")


def build_api(
    scorer: Scorer | ZhongcaoError,
    threads: int,
    conversions: ConversionScorer | ZhongcaoError | None = None,
    ingest: Ingest | ZhongcaoError | None = None,
    openrtb: OpenRtbSettings = OPENRTB_OFF,
) -> Starlette:
    """Put the routes together.

    Parameters
    ----------
    scorer
        Answers for tags; or why nothing does.
    threads
        Requests scored at the same time; the others wait.
    conversions
        Answers for conversions; or why nothing does.
    ingest
        Takes events; or why nothing does.
    openrtb
        Whose ids bid requests hold.
    """
    limiter = anyio.CapacityLimiter(threads)
    no_model = BundleError("there is no champion yet", next_step="run `zhongcao train conversion` first")
    converts = no_model if conversions is None else conversions
    no_inbox = EventLogError("this server has no inbox")

    async def tags(request: Request) -> Response:
        asked = parse(await request.body(), TagsRequest, PERSON_PARTS)
        answer = await run_sync(_score, _ready(scorer), asked, limiter=limiter, abandon_on_cancel=True)
        return _json(answer)

    async def convert(request: Request) -> Response:
        asked = parse(await request.body(), ConversionsRequest, CONVERSION_PARTS)
        now = int(time.time())
        answer = await run_sync(_ready(converts).answer, asked, now, limiter=limiter, abandon_on_cancel=True)
        return _json(answer)

    async def openapi(_: Request) -> Response:
        return Response(openapi_bytes(), media_type="application/json")

    async def livez(_: Request) -> Response:
        return _json(Liveness(status="live"))

    async def readyz(request: Request) -> Response:
        said = await run_sync(_readiness, scorer, converts)
        return _json(said if request.state.admitted else Readiness(status="ready"))

    app = Starlette(
        routes=[
            Route("/v1/tags", tags, methods=["POST"]),
            Route("/v1/conversions", convert, methods=["POST"]),
            Route("/v1/events", EventsRoute(no_inbox if ingest is None else ingest).answer, methods=["POST"]),
            *tag_routes(lambda: _ready(scorer), limiter),
            *openrtb_routes(lambda: _ready(scorer), limiter, openrtb),
            Route("/v1/openapi.json", openapi, methods=["GET"]),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ],
        exception_handlers=dict.fromkeys((Problem, HTTPException, StoreError, RequestError, Exception), _answer),
    )
    # A redirect to the path with another slash would repeat whatever host the caller names.
    app.router.redirect_slashes = False
    return app


def _score(scorer: Scorer, asked: TagsRequest) -> TagsAnswer:
    people = scorer.tags(asked.people, top=asked.top, min_probability=asked.min_probability, explain=asked.explain)
    return TagsAnswer(scorer.bundle.version, people)


def _ready(scorer: Answers | ZhongcaoError) -> Answers:
    if isinstance(scorer, ZhongcaoError):
        raise Problem(503, _why_not(scorer))
    return scorer


def _why_not(error: ZhongcaoError) -> str:
    """Say why a champion does not answer; the value at fault may be a path, which is nobody's business outside."""
    mended = f"; {error.next_step}, then start the server again" if error.next_step else ""
    return f"not ready: {error.problem}{mended}"


def _readiness(scorer: Scorer | ZhongcaoError, conversions: ConversionScorer | ZhongcaoError) -> Readiness:
    """Return what is served, and why the rest is not; a server of conversions alone is as ready as one of tags."""
    said: Readiness = {"status": "ready"}
    if isinstance(scorer, ZhongcaoError):
        said["problem"] = f"tags are {_why_not(scorer)}"
    else:
        info = scorer.check()
        said |= {
            "model": scorer.bundle.version,
            "model_as_of": scorer.bundle.as_of,
            "as_of": info.as_of,
            "people": info.people,
            "tags": len(scorer.bundle.taxonomy.tags),
        }
    if isinstance(conversions, ZhongcaoError):
        said["conversions"] = {"problem": _why_not(conversions)}
    else:
        try:
            said["conversions"] = {
                "model": conversions.bundle.version,
                "model_as_of": conversions.bundle.as_of,
                "as_of": (held := conversions.check()).as_of,
                "people": held.people,
            }
        except StoreError as error:
            if not isinstance(scorer, Scorer):
                raise
            said["conversions"] = {"model": conversions.bundle.version, "problem": f"not ready: {error}"}
    return said


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
        case StoreError(problem=problem):
            return Problem(503, f"not ready: {problem}")
        case RequestError():
            return Problem(422, str(error))
        case _:
            return Problem(500, "zhongcao failed; its log has the request id")
