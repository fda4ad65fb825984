"""Requests that schemathesis makes up from the OpenAPI document, and what answers to them must be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from serving.api.openapi import openapi
from serving.api.route_table import ROUTES
from serving.guard.deadlines import TIMEOUT_HEADER
from serving.guard.limits import LINES_TYPE

SCHEMA = schemathesis.openapi.from_dict(openapi())
PATIENT_MS = 20_000
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.allow_header_conformance,
]
SCOPES = {(route.method, route.path): route.scope for route in ROUTES}
SCHEMA.config.checks.negative_data_rejection.expected_statuses = ["400", "401", "403", "404", "413", "415", "422"]
Send = Callable[[schemathesis.Case, Mapping[str, str]], Any]


@schemathesis.serializer(LINES_TYPE)
def in_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write a made-up body of lines: a text is one already."""
    return (value if isinstance(value, str) else json.dumps(value)).encode()


class Sender:
    """Sends each request with a key, then without, with a wrong or a poor one; both answers must be as documented.

    Parameters
    ----------
    send
        Sends a request with further headers.
    key
        Opens everything.
    poor
        Scope → a key that has it alone.
    """

    def __init__(self, send: Send, key: str, poor: Mapping[str, str]) -> None:
        self._send = send
        self._key = key
        self._poor = poor
        self.cases = 0
        self.seen: Counter[tuple[str, int]] = Counter()

    def __call__(self, case: schemathesis.Case) -> None:
        be_patient(case)
        self.cases += 1
        status = self._ask(case, self._key)
        as_documented = case.method == case.operation.method.upper()
        assert as_documented or status == 405, f"{case.method} {case.path}: {status}"
        scope = SCOPES[case.operation.method.upper(), case.path]
        if scope is not None:
            lacking = self._poor["predict" if scope == "ingest" else "ingest"]
            wrong, status = ((None, 401), ("zc_nobodys", 401), (lacking, 403))[self.cases % 3]
            told = self._ask(case, wrong)
            assert told == status, f"{case.method} {case.path}: {told} where {status} is right"

    def _ask(self, case: schemathesis.Case, key: str | None) -> int:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        answer = self._send(case, headers)
        self.seen[case.operation.label, answer.status_code] += 1
        # Lines are texts, of which none is invalid: each gets a verdict.
        left_out = [checks.negative_data_rejection] if case.media_type == LINES_TYPE else []
        case.validate_response(answer, checks=CHECKS, excluded_checks=left_out, headers=headers)
        return int(answer.status_code)


def be_patient(case: schemathesis.Case) -> None:
    """Who asks for an answer within a millisecond is rightly told that there is none: ask for one in time."""
    said = case.headers.get(TIMEOUT_HEADER)
    if said is not None and str(said).isascii() and str(said).isdecimal() and 0 < int(said) < PATIENT_MS:
        case.headers[TIMEOUT_HEADER] = str(PATIENT_MS)


def over_http(url: str) -> Send:
    """Return what sends requests to a server."""
    session = requests.Session()
    return lambda case, headers: case.call(base_url=url, session=session, headers=dict(headers), timeout=60)
