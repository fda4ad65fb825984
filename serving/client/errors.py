"""Errors by name: what the API refuses with, and what happens where it does not answer at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx


class ClientError(Exception):
    """Base of every error of the client."""


class NoAnswerError(ClientError):
    """No answer came: the server cannot be reached, or not within the time."""


class StrangeAnswerError(ClientError):
    """What came is no answer of this API: perhaps something else listens at the address."""


class ProblemError(ClientError):
    """The API refuses.

    Parameters
    ----------
    status
        HTTP status code.
    problem
        The problem document; empty where the answer had none.
    retry_after
        Seconds after which another try makes sense; None where nothing was said.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.type = str(problem.get("type", "about:blank"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        self.errors: list[dict[str, str]] = list(problem.get("errors", ()))
        self.retry_after = retry_after
        faults = "".join(f"; {fault.get('where')}: {fault.get('problem')}" for fault in self.errors)
        request = f" (request {self.request_id})" if self.request_id else ""
        super().__init__(f"{status} {self.detail or self.title or 'no reason given'}{faults}{request}")


class NotValidError(ProblemError):
    """What was sent is not valid; `errors` lists the first faults."""


class KeyNeededError(ProblemError):
    """An API key is needed, or the one sent is wrong, revoked or expired."""


class NotAllowedError(ProblemError):
    """The API key does not open this."""


class NotFoundError(ProblemError):
    """There is no such route or tag."""


class GoneError(ProblemError):
    """The version of the memberships is not kept any more; take everything again."""


class TooManyError(ProblemError):
    """More is sent than the server takes now."""


class ServerFailedError(ProblemError):
    """The server failed; its log has the request id."""


class NotReadyError(ProblemError):
    """What the route needs is not there yet."""


class OverloadedError(NotReadyError):
    """More requests at once than the server works on."""


class TooLateError(NotReadyError):
    """No answer within the server's own limit."""


_BY_NAME: Final = {"overloaded": OverloadedError, "too-late": TooLateError}
_BY_STATUS: Final[dict[int, type[ProblemError]]] = {
    400: NotValidError,
    401: KeyNeededError,
    403: NotAllowedError,
    404: NotFoundError,
    405: NotFoundError,
    410: GoneError,
    413: NotValidError,
    415: NotValidError,
    422: NotValidError,
    429: TooManyError,
    500: ServerFailedError,
    503: NotReadyError,
}


def problem_of(response: httpx.Response) -> ProblemError:
    """Return the error that an answer other than success means.

    Examples
    --------
    >>> problem = {"type": "urn:problem-type:zhongcao:v1:overloaded", "detail": "try again", "request_id": "r1"}
    >>> problem_of(httpx.Response(503, json=problem, headers={"Retry-After": "1"}))
    OverloadedError('503 try again (request r1)')
    """
    try:
        problem = response.json()
    except ValueError:
        problem = None
    document = problem if isinstance(problem, dict) else {}
    name = str(document.get("type", "")).rpartition(":")[2]
    kind = _BY_NAME.get(name) or _BY_STATUS.get(response.status_code, ProblemError)
    return kind(response.status_code, document, retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that an answer asks to wait; None where it names none."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdecimal() else None
