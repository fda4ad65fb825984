"""The routes of the prediction API."""

from __future__ import annotations

import logging
from typing import Any, Final

import anyio
import orjson
from anyio.to_thread import run_sync
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import StoreError
from serving.access import Scope
from serving.problems import Problem
from serving.schemas import AccountRef, PersonRef, TagsAnswer, TagsRequest
from serving.scorer import Scorer

NEEDS: Final[dict[str, Scope]] = {"/v1/tags": "predict", "/livez": "predict", "/readyz": "predict"}
"""Path → scope that a key needs for it."""

OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
"""Health checks, which need no key; `/readyz` says more to those who have one."""

_log = logging.getLogger("zhongcao.serving")
_SHOWN_ERRORS: Final = 10
_SHOWN_NAME: Final = 40
_FIELDS: Final = {
    "": TagsRequest.model_fields,
    "account": AccountRef.model_fields,
    "person": PersonRef.model_fields,
}
"""Fields of the body, and of a person by the way of naming people."""


def build_api(scorer: Scorer, threads: int) -> Starlette:
    """Put the routes together.

    Parameters
    ----------
    scorer
        Answers.
    threads
        Requests scored at the same time; the others wait.
    """
    limiter = anyio.CapacityLimiter(threads)

    async def tags(request: Request) -> Response:
        asked = _parse(await request.body())
        answer = await run_sync(_score, scorer, asked, limiter=limiter, abandon_on_cancel=True)
        return _json(answer)

    async def livez(_: Request) -> Response:
        return _json({"status": "live"})

    async def readyz(request: Request) -> Response:
        info = await run_sync(scorer.check)
        if not request.state.admitted:
            return _json({"status": "ready"})
        return _json(
            {
                "status": "ready",
                "model": scorer.bundle.version,
                "model_as_of": scorer.bundle.as_of,
                "as_of": info.as_of,
                "people": info.people,
                "tags": len(scorer.bundle.taxonomy.tags),
            }
        )

    app = Starlette(
        routes=[
            Route("/v1/tags", tags, methods=["POST"]),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ],
        exception_handlers=dict.fromkeys((Problem, HTTPException, StoreError, Exception), _answer),
    )
    # A redirect to the path with another slash would repeat whatever host the caller names.
    app.router.redirect_slashes = False
    return app


def _score(scorer: Scorer, asked: TagsRequest) -> TagsAnswer:
    people = scorer.tags(asked.people, top=asked.top, min_probability=asked.min_probability, explain=asked.explain)
    return TagsAnswer(scorer.bundle.version, people)


def _parse(body: bytes) -> TagsRequest:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON (line {error.lineno}, column {error.colno})") from error
    try:
        return TagsRequest.model_validate(document)
    except ValidationError as error:
        faults = [
            {"where": _where(fault["loc"]), "problem": _what(fault["type"], fault["loc"], fault["msg"])}
            for fault in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise Problem(
            422,
            f"the body has {_count(len(faults))}; docs/operations.md shows a valid one",
            errors=faults[:_SHOWN_ERRORS],
        ) from error


def _count(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _where(location: tuple[int | str, ...]) -> str:
    # After a person's number pydantic names the way of naming people, which is no part of the body.
    path = location[:2] + location[3:] if location[:1] == ("people",) else location
    return ".".join(str(part)[:_SHOWN_NAME] for part in path) or "body"


def _what(kind: str, location: tuple[int | str, ...], message: str) -> str:
    match kind:
        case "extra_forbidden":
            fields = _FIELDS["".join(str(part) for part in location[2:3])]
            return f"unknown field; valid: {', '.join(fields)}"
        case "model_type" | "model_attributes_type":
            return "an object is needed here"
        case _:
            return message


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, StoreError):
        _log.warning("request %s: %s", request.state.request_id, error.problem)
    return _as_problem(error).response(request.state.request_id)


def _as_problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException(status_code=404):
            return Problem(404, "there is no such route; docs/operations.md lists them")
        case HTTPException(status_code=405, headers=headers):
            return Problem(405, "this route does not take this method", headers=headers)
        case StoreError(problem=problem):
            return Problem(503, f"not ready: {problem}")
        case _:
            return Problem(500, "zhongcao failed; its log has the request id")
