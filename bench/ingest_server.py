"""What takes events in `bench.ingest`: the ingest function on a home of its own, and the application around it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from features.errors import BundleError
from features.log.event_log import EventLog
from features.settings import Settings
from serving.api.events import Ingest, open_ingest
from serving.api.routes import build_api
from serving.champions.served import Served
from serving.guard.access import KeyRing
from serving.guard.connection import BoundedProtocol
from serving.guard.limits import Guard

PATH: Final = "/v1/events"
_NEVER_SECONDS: Final = 86_400


@contextmanager
def opened_ingest(home: Path) -> Iterator[Ingest]:
    """Open the ingest function on an empty log; nothing is moved while it is measured."""
    settings = Settings(home=home, mlruns=home / "mlruns", threads=1, move_seconds=_NEVER_SECONDS)
    EventLog.open(settings, create=True)
    with ExitStack() as opened:
        ingest = open_ingest(settings, opened)
        if not isinstance(ingest, Ingest):
            raise ingest
        yield ingest


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main(home: Path, port: int) -> None:
    """Serve events, and nothing else, until told to stop."""
    none = BundleError("no model is measured here")
    with opened_ingest(home) as ingest:
        app = Guard(
            build_api(Served(none), Served(none), ingest),
            KeyRing(home / "access.json"),
            needs={PATH: "ingest"},
            open_paths=frozenset({"/livez"}),
            loopback=True,
            brand_paths=frozenset({PATH}),
            line_paths=frozenset({PATH}),
        )
        uvicorn.run(
            app, port=port, loop="uvloop", http=BoundedProtocol, ws="none", lifespan="off", log_level="warning"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
