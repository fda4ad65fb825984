"""The OpenAPI 3.1 document of the API, made of the table of routes and the models that they use."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from serving.api.live_schema import LIVE_EVENT
from serving.api.openapi_headers import ANSWER_HEADERS, REQUEST_PARAMETERS, headers_of, parameters_of
from serving.api.route_table import ROUTES, RouteSpec
from serving.guard.limits import LINES_TYPE
from serving.messages.problem_kinds import KIND_OF_NAME, KINDS, ProblemKind

API_VERSION: Final = "1.0"
"""Of the routes, bodies and problem types: whatever would break a caller raises the number in paths and types."""

_REF: Final = "#/components/schemas/{model}"
_PROBLEM_TYPE: Final = "application/problem+json"
_ABOUT: Final = """\
Who people are, what would follow if they saw a note, and events as they happen.

A key is sent as `Authorization: Bearer KEY`; its scope must be that of the operation (`x-scope`), or `admin`. On
loopback, callers of the same machine need none. Errors are problem documents (RFC 9457): `type` is for programs and
keeps its meaning, `detail` is for people. Answers may gain fields; bodies with unknown fields are refused. Whole
numbers are written without a point."""


@cache
def openapi_bytes() -> bytes:
    """Return the document as JSON, the same bytes each time."""
    return orjson.dumps(openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def openapi() -> dict[str, Any]:
    """Return the document.

    Examples
    --------
    >>> document = openapi()
    >>> document["openapi"], document["paths"]["/v1/tags"]["post"]["x-scope"]
    ('3.1.0', 'predict')
    """
    schemas, components = _schemas()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in ROUTES:
        paths[route.path][route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "zhongcao",
            "version": API_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": {**components, "Problem": _problem_schema(), "LiveEvent": LIVE_EVENT},
            "examples": {kind.name: _problem_example(kind) for kind in KINDS},
            "headers": ANSWER_HEADERS,
            "parameters": REQUEST_PARAMETERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    """Return (name of the route, what of it) → schema, and the schemas that these refer to."""
    wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = []
    given = {}
    for route in ROUTES:
        for part, kind, mode in (
            ("request", route.request, "validation"),
            ("answer", route.answer, "serialization"),
        ):
            if isinstance(kind, dict):
                given[route.name, part] = kind
            elif kind is not None:
                wanted.append(((route.name, part), mode, TypeAdapter(kind)))
    made, shared = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    components = {name: _brief(schema) for name, schema in shared.get("$defs", {}).items()}
    return {**{key: _brief(schema) for (key, _), schema in made.items()}, **given}, components


def _brief(schema: Any) -> Any:
    """Leave of each description, which is a docstring, what stands before its sections."""
    if isinstance(schema, list):
        return [_brief(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    brief = {name: _brief(value) for name, value in schema.items()}
    if isinstance(brief.get("description"), str):
        text = brief["description"].split("\n\nParameters\n")[0].split("\n\nExamples\n")[0]
        brief["description"] = " ".join(text.split())
    return brief


def _operation(route: RouteSpec, schemas: dict[tuple[str, str], Any]) -> dict[str, Any]:
    body, answer = route.examples
    answered: dict[str, Any] = {"schema": schemas[route.name, "answer"]}
    if answer is not None:
        answered["example"] = answer
    own_headers = {
        name: {"description": said, "required": name in route.answer_headers, "schema": {"type": "string"}}
        for name, said in (*route.answer_headers.items(), *route.some_answer_headers.items())
    }
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [] if route.scope is None else [{"key": []}, {}],
        "x-scope": route.scope,
        "parameters": parameters_of(route),
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {**headers_of(), **own_headers},
                "content": {LINES_TYPE if route.answer_lines else "application/json": answered},
            },
            **_refusals(route),
        },
    }
    if route.request is not None:
        content = {"application/json": {"schema": schemas[route.name, "request"], "example": body}}
        if route.lines:
            content[LINES_TYPE] = {"schema": {"type": "string", "description": "The same objects, one a line."}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _refusals(route: RouteSpec) -> dict[str, Any]:
    by_status: dict[int, list[ProblemKind]] = defaultdict(list)
    for name in route.all_problems:
        kind = KIND_OF_NAME[name]
        by_status[kind.status].append(kind)
    return {str(status): _refusal(kinds) for status, kinds in sorted(by_status.items())}


def _refusal(kinds: list[ProblemKind]) -> dict[str, Any]:
    headers = headers_of(again=any(kind.again for kind in kinds), keys=kinds[0].status == HTTPStatus.UNAUTHORIZED)
    return {
        "description": "; or ".join(kind.meaning for kind in kinds),
        "headers": headers,
        "content": {
            _PROBLEM_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"properties": {"type": {"enum": [kind.type for kind in kinds]}}},
                    ]
                },
                "examples": {kind.name: {"$ref": f"#/components/examples/{kind.name}"} for kind in kinds},
            }
        },
    }


def _problem_schema() -> dict[str, Any]:
    fault = {
        "type": "object",
        "properties": {"where": {"type": "string"}, "problem": {"type": "string"}},
        "required": ["where", "problem"],
    }
    text = {"type": "string"}
    return {
        "description": "An error (RFC 9457). What was sent is never repeated.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": [kind.type for kind in KINDS], "description": "For programs."},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {**text, "description": "What is wrong and what to do, for people."},
            "request_id": text,
            "errors": {"type": "array", "items": fault, "description": "Single faults of a body, at most ten."},
        },
        "required": ["type", "title", "status", "detail", "request_id"],
    }


def _problem_example(kind: ProblemKind) -> dict[str, Any]:
    value = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.meaning}
    return {"summary": kind.meaning, "value": {**value, "request_id": "5f0c2ab19d3e7788"}}
