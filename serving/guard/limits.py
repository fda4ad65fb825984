"""The guard in front of every route: who may ask, and how much, before anything is parsed."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

import numpy as np
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guard import access
from serving.guard.access import KeyRing, is_loopback
from serving.guard.deadlines import TIMEOUT_HEADER, asked_seconds, waited
from serving.guard.draining import Draining
from serving.guard.rates import Rates
from serving.guard.workers import Ticket, Workers, kind_of
from serving.messages.metrics import Metrics
from serving.messages.problems import Problem

_log = logging.getLogger("zhongcao.serving")
LINES_TYPE: Final = "application/x-ndjson"
"""Content type of a JSON document a line."""

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


@dataclass(frozen=True)
class Limits:
    """How much one request may ask for.

    Parameters
    ----------
    body_bytes
        Size of a body, however it is sent.
    depth
        Nesting of arrays and objects.
    seconds
        From the first byte of a request to the last of its answer.
    at_once
        Requests in work at the same time.
    """

    body_bytes: int = 2_000_000
    depth: int = 16
    seconds: float = 30.0
    at_once: int = 64


class Guard:
    """ASGI middleware that every request passes.

    Parameters
    ----------
    app
        The routes.
    ring
        API keys.
    needs
        Path → scope that a key must have for it; paths that are not listed need ``admin``.
    open_paths
        Paths that answer without a key too, such as health checks; ``state.admitted`` tells them who asks.
    loopback
        Whether the server listens on loopback only and for callers of this machine, who then need no key.
    brand_paths
        Paths that a key for one brand opens, too; ``state.key`` tells them whose data it may touch.
    line_paths
        Paths that take JSON lines besides JSON.
    limits
        How much one request may ask for.
    workers
        Where requests are scored; ``state.work`` hands them a job, ``state.work_beside`` one that writes.
    metrics
        Counts the answers.
    draining
        Whether the server is about to stop: its answers then end their connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        ring: KeyRing,
        *,
        needs: Mapping[str, access.Scope],
        open_paths: frozenset[str],
        loopback: bool,
        brand_paths: frozenset[str] = frozenset(),
        line_paths: frozenset[str] = frozenset(),
        limits: Limits | None = None,
        workers: Workers | None = None,
        metrics: Metrics | None = None,
        draining: Draining | None = None,
    ) -> None:
        self._app = app
        self._ring = ring
        self._needs = needs
        self._open_paths = open_paths
        self._loopback = loopback
        self._brand_paths = brand_paths
        self._line_paths = line_paths
        self._limits = limits or Limits()
        self._workers = workers or Workers(1)
        self._rates = Rates()
        self._metrics = metrics or Metrics([])
        self._draining = draining or Draining()
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with a problem document."""
        if scope["type"] != "http":
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {}).update(request_id=request_id, draining=self._draining.begun)
        answer = _Answer(send, request_id, last=self._draining.begun)
        started = monotonic() - waited(scope)
        ticket, late = None, self._limits.seconds
        self._in_work += 1
        try:
            headers = Headers(scope=scope)
            opened = self._let_in(scope, headers)
            seconds = None if opened else asked_seconds(headers.get(TIMEOUT_HEADER))
            late = late if seconds is None else min(late, seconds)
            async with asyncio.timeout(started + late - monotonic()):
                if not opened:
                    ticket = self._admit(scope, headers, seconds)
                    scope["state"]["work"] = partial(self._workers.run, ticket)
                    scope["state"]["work_beside"] = partial(self._workers.run_beside, ticket)
                await self._app(scope, self._bounded(scope, receive), answer.send)
        except Problem as problem:
            self._metrics.refused(problem.kind.name)
            await answer.problem(problem, scope, receive)
        except TimeoutError:
            self._metrics.refused("too-late")
            said = f"not answered within {late:g} s; ask for less at once"
            await answer.problem(Problem(503, said, kind="too-late"), scope, receive)
        except Exception as error:
            # Where, but not with what: a message or a value could hold an account id.
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            where = " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
            _log.error("request %s failed: %s at %s", request_id, type(error).__name__, where)
            await answer.problem(Problem(500, "zhongcao failed; its log has the request id"), scope, receive)
        finally:
            self._in_work -= 1
            if ticket is not None:
                self._workers.leave(ticket)
            self._metrics.answered(scope["path"], answer.status, monotonic() - started)

    def _let_in(self, scope: Scope, headers: Headers) -> bool:
        """Return whether the path is open to everybody; raise the refusal where it is not, and there is one."""
        scope["state"]["key"] = None
        refusal = self._refusal(scope, headers)
        scope["state"]["admitted"] = refusal is None
        if scope["path"] in self._open_paths:
            return True
        if refusal is not None:
            raise refusal
        return False

    def _admit(self, scope: Scope, headers: Headers, seconds: float | None) -> Ticket:
        if (key := scope["state"]["key"]) is not None:
            self._rates.take(key)
        if self._in_work > self._limits.at_once:
            said = "too many requests at once; try again"
            raise Problem(503, said, headers={"Retry-After": "1"}, kind="overloaded")
        length = headers.get("content-length", "0")
        kind = kind_of(scope["path"], int(length) if len(length) < 16 and length.isdecimal() else 0)
        return self._workers.admit(kind, waited(scope), seconds)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        """Return None for a caller who has the right to the path, else why not."""
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if not secret:
            if self._from_here(scope, headers):
                return None
            return _unauthorised("an API key is needed: send Authorization: Bearer KEY")
        key = self._ring.find(secret.strip()) if kind.lower() == "bearer" else None
        now = time.time()
        if key is None or key.expired(now):
            return _unauthorised("this API key is not valid, was revoked, or has expired")
        needed = self._needs.get(scope["path"], "admin")
        if not key.opens(needed, now):
            return Problem(403, f"this API key lacks the scope {needed}")
        scope["state"]["key"] = key
        if key.brand is not None and scope["path"] not in self._brand_paths:
            return Problem(403, "this API key is for one brand's data, and this route answers from everybody's")
        return None

    def _from_here(self, scope: Scope, headers: Headers) -> bool:
        # A page in a browser can make it call loopback under a name of the page's own (DNS rebinding), and a
        # proxy on this machine calls for others: neither counts as this machine.
        client = scope.get("client")
        host = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]")
        # Many proxies speak HTTP/1.0 to what is behind them, and say nothing else of themselves.
        direct = not any(name in headers for name in _FORWARDED) and scope.get("http_version") != "1.0"
        return self._loopback and direct and is_loopback(host) and client is not None and is_loopback(client[0])

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Return a channel that gives the whole body at once, and only one within the limits."""
        given = False

        async def body() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            lines = self._check_headers(Headers(scope=scope), scope["path"])
            content = await self._read(receive)
            # Each line is judged by itself, by the route.
            if not lines and _nested_deeper(content, self._limits.depth):
                raise Problem(400, f"the body may be nested {self._limits.depth} deep at most")
            return {"type": "http.request", "body": content, "more_body": False}

        return body

    def _check_headers(self, headers: Headers, path: str) -> bool:
        """Return whether the body is JSON lines."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        lines = path in self._line_paths and kind == LINES_TYPE
        if kind != "application/json" and not lines:
            also = f" or {LINES_TYPE}" if path in self._line_paths else ""
            raise Problem(415, f"the body must be JSON: send Content-Type: application/json{also}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "compressed bodies are not taken")
        length = headers.get("content-length", "0")
        if not (length.isdecimal() and len(length) < 16 and int(length) <= self._limits.body_bytes):
            raise self._too_large()
        return lines

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "the caller left before the body was complete")
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                raise self._too_large()
            more = message.get("more_body", False)
        return bytes(body)

    def _too_large(self) -> Problem:
        detail = f"the body may have {self._limits.body_bytes} bytes at most; send or ask for less at once"
        return Problem(413, detail, headers={"Connection": "close"})


class _Answer:
    """The way back to the caller: adds the request id, and remembers the status once an answer has begun."""

    def __init__(self, send: Send, request_id: str, *, last: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._last = last
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            safe = [
                (b"x-request-id", self._request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ]
            if self._last:
                safe.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *safe]}
        await self._send(message)

    async def problem(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        if not self.status:
            await problem.response(self._request_id)(scope, receive, self.send)


def _nested_deeper(body: bytes, depth: int) -> bool:
    # Few brackets cannot be nested deep, and most bodies have few.
    return body.count(b"{") + body.count(b"[") > depth and nesting(body) > depth


def nesting(body: bytes) -> int:
    """Return how deep arrays and objects are nested in a JSON text, without parsing it.

    Examples
    --------
    >>> nesting(b'{"a": [1, [2]], "b": "[[[["}')
    3
    """
    text = np.frombuffer(_STRING.sub(b"", body), np.uint8)
    steps = np.isin(text, (0x5B, 0x7B)).astype(np.int32) - np.isin(text, (0x5D, 0x7D))
    return int(steps.cumsum().max(initial=0))


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
