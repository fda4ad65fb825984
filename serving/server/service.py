"""The BentoML service over a bundle."""

from __future__ import annotations

from typing import Any

import bentoml
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from starlette.applications import Starlette
from starlette.types import ASGIApp


class GuardedService(bentoml.Service[Any]):  # type: ignore[misc]  # bentoml ships no types that mypy can follow
    """A BentoML service that answers nothing but what is mounted on it.

    BentoML's own routes (an index page with outside scripts, metrics, schemas, health) are left out, and so is its
    timeout, which answers in another shape and keeps every request in memory for its whole length: the guard that
    is mounted sets the deadline.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application, whoever runs it."""
        app: Starlette = super().to_asgi(is_main=is_main)
        own = {id(mounted) for mounted, *_ in self.mount_apps}
        app.router.routes = [route for route in app.routes if id(getattr(route, "app", None)) in own]
        app.router.redirect_slashes = False
        # A path with a line end matches no mount, and would be answered past the guard.
        app.router.default = self.mount_apps[0][0]
        app.user_middleware = [m for m in app.user_middleware if m.cls is not TimeoutMiddleware]
        return app


class Mounted:
    """Nothing of its own: what answers is mounted."""


def build_service(api: ASGIApp, opens: type = Mounted) -> GuardedService:
    """Make the service.

    Parameters
    ----------
    api
        Guarded routes; everything it needs is loaded before the first request, so that a service that starts can
        answer.
    opens
        Made when the service starts.
    """
    service: GuardedService = bentoml.service(
        name="zhongcao",
        service_class=GuardedService,
        workers=1,
        traffic={"timeout": 1},
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )(opens)
    service.mount_asgi_app(api)
    return service
