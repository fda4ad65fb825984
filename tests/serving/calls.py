"""Calling the whole application, BentoML included, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from features.errors import BundleError, ZhongcaoError
from serving.api.events import Ingest
from serving.api.route_table import BRAND_PATHS, LINE_PATHS, NEEDS, OPEN_PATHS
from serving.api.routes import build_api
from serving.champions.served import Served
from serving.guard.access import KeyRing
from serving.guard.draining import Draining
from serving.guard.limits import Guard, Limits
from serving.guard.workers import Workers
from serving.memberships.pages import MembershipPages
from serving.openrtb.people import OPENRTB_OFF, OpenRtbSettings
from serving.predictions.log import PredictionLog
from serving.rights.people_rights import PeopleRights
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from serving.server.service import build_service

NO_CONVERSIONS = BundleError("there is no champion yet", next_step="run `zhongcao train conversion` first")
BODY: dict[str, Any] = {"people": [{"platform": "shop", "account": "dairy lover"}]}


def application(
    scorer: Scorer | ZhongcaoError,
    folder: Path,
    *,
    loopback: bool = True,
    limits: Limits | None = None,
    conversions: ConversionScorer | ZhongcaoError | None = None,
    ingest: Ingest | ZhongcaoError | None = None,
    openrtb: OpenRtbSettings = OPENRTB_OFF,
    draining: Draining | None = None,
    predictions: PredictionLog | None = None,
    rights: PeopleRights | None = None,
    memberships: MembershipPages | None = None,
) -> Any:
    guard = Guard(
        build_api(
            Served(scorer),
            Served(conversions or NO_CONVERSIONS),
            ingest,
            openrtb,
            predictions=predictions,
            rights=rights,
            memberships=memberships,
        ),
        KeyRing(folder / "access.json"),
        needs=NEEDS,
        open_paths=OPEN_PATHS,
        loopback=loopback,
        brand_paths=BRAND_PATHS,
        line_paths=LINE_PATHS,
        limits=limits,
        workers=Workers(2),
        draining=draining,
    )
    return build_service(guard).to_asgi()


def call(
    app: Any, ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], client: str = "127.0.0.1"
) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 1234))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as http,
        ):
            return await ask(http)

    return asyncio.run(run())


def post(app: Any, client: str = "127.0.0.1", path: str = "/v1/tags", **request: Any) -> httpx.Response:
    return call(app, lambda http: http.post(path, **request), client)


def get(app: Any, path: str, client: str = "127.0.0.1", **request: Any) -> httpx.Response:
    return call(app, lambda http: http.get(path, **request), client)
