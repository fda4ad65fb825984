"""``POST /v1/openrtb/enrich``: a bid request comes back with segments, or in time as it was."""

from __future__ import annotations

from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.champions.served import Served
from serving.messages.bodies import parse
from serving.messages.problems import Problem
from serving.openrtb.enrich import Enriched, Enricher
from serving.openrtb.people import OpenRtbSettings
from serving.openrtb.schemas import BID_PARTS, BidRequest
from serving.predictions.record import Keeps
from serving.scoring.scorer import Scorer

TMAX_SHARE: Final = 0.5
"""Part of ``tmax`` that is used here, reading the body included; the rest is for the network and the ad server."""

USUAL_TMAX: Final = 120
"""Milliseconds, where a request names none."""

STATUS_HEADER: Final = "X-Zhongcao-Enrich"
PREDICTION_HEADER: Final = "X-Zhongcao-Prediction"
"""Beside the request and not in it: whoever bids must not be able to tell predictions of one person together."""


def openrtb_routes(
    scorer: Served[Scorer],
    openrtb: OpenRtbSettings,
    log: Keeps | None = None,
) -> list[Route]:
    """Return the route.

    Parameters
    ----------
    scorer
        Answers for tags.
    openrtb
        Whose ids requests hold; where none, the route says what to set.
    log
        Names predictions and keeps a sample of them.
    """
    enricher = Enricher(openrtb, log=log)

    async def enrich(request: Request) -> Response:
        begun = anyio.current_time()
        body = await request.body()
        bid = parse(body, BidRequest, BID_PARTS)
        if not openrtb.ids:
            raise Problem(503, "not ready: set openrtb_ids, which says whose ids those of a request are")
        left = (bid.tmax or USUAL_TMAX) / 1000 * TMAX_SHARE - (anyio.current_time() - begun)
        done = Enriched(body, "late")
        with anyio.move_on_after(left):
            done = await request.state.work(lambda: scorer.answer(lambda it: enricher.enrich(it, bid, body)))
        headers: dict[str, str] = {STATUS_HEADER: done.status}
        if done.prediction_id is not None:
            headers[PREDICTION_HEADER] = done.prediction_id
        return Response(done.body, media_type="application/json", headers=headers)

    return [Route("/v1/openrtb/enrich", enrich, methods=["POST"])]
