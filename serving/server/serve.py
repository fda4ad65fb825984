"""Starting the prediction API: everything is checked and warm before the port opens."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from typing import Final

import uvicorn

from features.errors import SettingsError, ZhongcaoError
from features.settings import Settings
from serving.champions.open_scorers import what_is_served
from serving.champions.serving_status import following
from serving.guard.access import KeyRing, check_bind, is_loopback
from serving.guard.connection import BoundedProtocol
from serving.guard.draining import Draining, DrainingServer
from serving.guard.limits import Guard
from serving.openrtb.people import OpenRtbSettings
from serving.server.opening import open_all
from serving.server.service import build_service

_GRACE_SECONDS: Final = 10
_BACKLOG: Final = 2048
_TAGS: Final = (
    "/v1/tags",
    '{"people": [{"platform": "PLATFORM", "account": "ACCOUNT"}], "top": 5, "explain": true}',
)
_CONVERSIONS: Final = (
    "/v1/conversions",
    '{"person": {"platform": "PLATFORM", "account": "ACCOUNT"}, "candidates": ["NOTE"],'
    ' "context": {"platform": "PLATFORM"}}',
)


def serve(settings: Settings, *, require_key: bool = False) -> None:
    """Serve the champion until the process is told to stop (SIGINT or SIGTERM); requests in work are finished.

    Another champion takes its place as soon as it is promoted, checked and warm.

    Parameters
    ----------
    settings
        Where the champion, the store and the keys lie, and what to listen on.
    require_key
        Whether callers of this machine need a key too, as they must where a proxy calls for others.

    Raises
    ------
    BundleError
        There is no champion, or it is corrupt.
    StoreError
        The store is missing or was filled for another bundle.
    AccessError
        Callers need an API key, and there is none.
    SettingsError
        The port is taken, the address is not this machine's, or `openrtb_ids` cannot be read.
    """
    ring = KeyRing(settings.access_file)
    check_bind(settings.host, ring, time.time(), require_key=require_key)
    free = is_loopback(settings.host) and not require_key
    openrtb = OpenRtbSettings.of(settings)
    with _reserve(settings.host, settings.port) as reserved, ExitStack() as opened:
        draining = Draining()
        said = open_all(settings, ring, openrtb, opened, free=free, draining=draining)
        tags, conversions = said.champions.tags, said.champions.conversions
        _listen(reserved, settings)
        tries = [
            _try_it(settings, free, route, body)
            for served, route, body in ((tags, *_TAGS), (conversions, *_CONVERSIONS))
            if not isinstance(served.now, ZhongcaoError)
        ]
        served = what_is_served(tags.now, conversions.now)
        sys.stdout.write("".join(f"{line}\n" for line in [*served, *tries]))
        sys.stdout.flush()
        opened.enter_context(following(settings, said.champions))
        _run(settings, said.guard, reserved, draining)


def _run(settings: Settings, guard: Guard, listening: socket.socket, draining: Draining) -> None:
    _prepare_bentoml(settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Uvicorn runs BentoML's application in this very process. BentoML's own process manager would open two control
    # ports, without any key, through which every user of the machine could start commands as this user.
    config = uvicorn.Config(
        build_service(guard).to_asgi(),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # What is loaded stays: the collector need not walk it again, which would stall requests for 100s of ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    # Uvicorn stops on both signals, then sends itself the signal again under the handler that it found here.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    try:
        DrainingServer(config, draining, settings.drain_seconds).run(sockets=[listening])
    finally:
        gc.unfreeze()


def _prepare_bentoml(settings: Settings) -> None:
    """Tell BentoML, which reads the environment: no telemetry, and files of its own per server."""
    home = settings.work_dir / f"bentoml-{settings.port}"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.environ["BENTOML_HOME"] = str(home.resolve())


def _reserve(host: str, port: int) -> socket.socket:
    """Take the port, so that a taken one is refused at once; callers are refused until `_listen`."""
    reserved = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # The port is free as soon as the server before this one has ended, though its connections linger.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reserved.family == socket.AF_INET6:
            reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        reserved.bind((host, port))
    except OSError as error:
        reserved.close()
        raise _cannot_listen(error, host, port) from error
    return reserved


def _listen(reserved: socket.socket, settings: Settings) -> None:
    try:
        reserved.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(error, settings.host, settings.port) from error


def _cannot_listen(error: OSError, host: str, port: int) -> SettingsError:
    return SettingsError(
        f"cannot listen: {str(error.strerror).partition(' (')[0]}",
        value=f"{host}:{port}",
        next_step="stop what listens there, or choose another --host or --port",
    )


def _try_it(settings: Settings, free: bool, route: str, body: str) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    key = "" if free else " -H 'Authorization: Bearer KEY'"
    return f"try: curl -s http://{host}:{settings.port}{route}{key} -H 'Content-Type: application/json' -d '{body}'"
