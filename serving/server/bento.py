"""The service that `bentoml build` packs: code alone, which reads its home where ``ZHONGCAO_HOME`` says.

It answers as `zhongcao serve --require-key` does, on the address that BentoML is told: every caller needs a key.
Nothing is opened before the service starts, so that it can be packed where there is no home.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from features.settings import load_settings
from serving.champions.serving_status import following
from serving.guard.access import KeyRing, check_bind
from serving.guard.draining import Draining
from serving.openrtb.people import OpenRtbSettings
from serving.server.opening import open_all
from serving.server.service import build_service
from training.compact.cache import keep_compiled

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # BentoML's own; keys are asked for whatever it is told


class Later:
    """Stands where the guard will be."""

    guard: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; there is none before the service has started."""
        await self.guard(scope, receive, send)


LATER = Later()


class Zhongcao:
    """Opens the home when BentoML starts the service, and closes it when it stops."""

    def __init__(self) -> None:
        settings = load_settings()
        if settings.home.is_dir():
            keep_compiled(settings.home / "compiled")
        ring = KeyRing(settings.access_file)
        check_bind(_ANY_ADDRESS, ring, time.time(), require_key=True)
        openrtb = OpenRtbSettings.of(settings)
        with ExitStack() as opened:
            said = open_all(settings, ring, openrtb, opened, free=False, draining=Draining())
            opened.enter_context(following(settings, said.champions))
            LATER.guard = said.guard
            self._opened = opened.pop_all()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop feeding, moving and following."""
        self._opened.close()


service = build_service(LATER, Zhongcao)
