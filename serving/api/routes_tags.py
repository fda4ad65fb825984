"""Routes about tags: the catalogue, one tag's label, and what a person may see of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import orjson
from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.api.who_asks import who_asks
from serving.champions.served import Served
from serving.guard.rates import OwnRates
from serving.messages.bodies import faults_of
from serving.messages.problems import Problem
from serving.messages.schemas import MOST_TAGS, AccountRef
from serving.messages.tag_schemas import OwnTag, OwnTagsAnswer
from serving.scoring.scorer import Scorer
from serving.tags.catalogue import MOST_LISTED, USUALLY_LISTED, catalogue, label

Query = TypeVar("Query", bound=BaseModel)


class PageRequest(BaseModel):
    """What may follow the question mark of ``GET /v1/tags``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = USUALLY_LISTED


class NoQuery(BaseModel):
    """Nothing may follow the question mark, least of all an id."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def tag_routes(scorer: Served[Scorer], erased_since: Callable[[str], int] = lambda _: 0) -> list[Route]:
    """Return the routes.

    Parameters
    ----------
    scorer
        Answers for tags.
    erased_since
        Given the version of a bundle, tells how many people were erased since it was trained.
    """
    rates = OwnRates()

    async def listed(request: Request) -> Response:
        page = query_of(request, PageRequest)
        return _json(catalogue(scorer.ready().bundle, page.after, page.limit))

    async def labelled(request: Request) -> Response:
        query_of(request, NoQuery)
        bundle = scorer.ready().bundle
        erased = await run_sync(erased_since, bundle.version)
        return _json(label(bundle, request.path_params["tag"], erased))

    async def own(request: Request) -> Response:
        query_of(request, NoQuery)
        account = who_asks(request)
        rates.take(account.platform, account.account)
        return _json(await request.state.work(lambda: scorer.answer(lambda it: own_tags(it, account))))

    return [
        Route("/v1/tags", listed, methods=["GET"]),
        Route("/v1/tags/{tag}", labelled, methods=["GET"]),
        Route("/v1/people/me/tags", own, methods=["GET"]),
    ]


def own_tags(scorer: Scorer, account: AccountRef) -> OwnTagsAnswer:
    """Return everything that any answer would say about a person."""
    person = scorer.tags([account], top=MOST_TAGS, explain=True)[0]
    meanings = {tag.id: tag.meaning for tag in scorer.bundle.taxonomy.tags}
    tags = [
        OwnTag(t.id, t.name, t.name_zh, meanings[t.id], t.probability, t.assigned, t.factors or [])
        for t in sorted(person.tags, key=lambda tag: not tag.assigned)
    ]
    return OwnTagsAnswer(scorer.bundle.version, person.status, person.as_of, tags)


def query_of(request: Request, wanted: type[Query]) -> Query:
    """Return what follows the question mark.

    Raises
    ------
    Problem
        It is not what the route takes.
    """
    given = request.query_params
    try:
        if len(given.multi_items()) > len(given):
            raise Problem(422, "each parameter may be given once")
        return wanted.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(422, "the address asks for what there is not", errors=faults_of(error, wanted, {})) from error


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")
