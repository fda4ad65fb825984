"""The loopback port on which metrics are read, in a thread of its own: they come however busy the server is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from features.errors import SettingsError
from serving.guard.access import is_loopback
from serving.messages.metrics import Metrics

METRICS_HOST: Final = "127.0.0.1"
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = 5


@contextmanager
def metrics_served(metrics: Metrics, port: int) -> Iterator[int]:
    """Answer ``GET /metrics`` on 127.0.0.1; yield the port.

    Parameters
    ----------
    metrics
        What is answered.
    port
        Where; 0 for any that is free.

    Raises
    ------
    SettingsError
        The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            # A page in a browser can make it call loopback under a name of the page's own.
            host = re.sub(r":\d+$", "", self.headers.get("Host", "")).strip("[]")
            if self.path != "/metrics" or not is_loopback(host):
                self.send_error(404)
                return
            body = metrics.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", _TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log no request."""

    try:
        server = ThreadingHTTPServer((METRICS_HOST, port), Handler)
    except OSError as error:
        raise SettingsError(
            f"cannot show metrics: {str(error.strerror).partition(' (')[0]}",
            value=f"{METRICS_HOST}:{port}",
            next_step="stop what listens there, or choose another metrics_port",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
