"""Parameters of requests and headers of answers, as the OpenAPI document names them."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter

from serving.api.route_table import RouteSpec
from serving.api.who_asks import ACCOUNT_HEADER, ACCOUNT_PATTERN, PLATFORM_HEADER, PLATFORM_PATTERN
from serving.guard.deadlines import MOST_MS, TIMEOUT_HEADER

_SECONDS: Final = {"type": "integer", "minimum": 0}
ANSWER_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "RequestId": {
        "description": "Under which the server's log knows the request.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "example": "5f0c2ab19d3e7788",
    },
    "RetryAfter": {
        "description": "Seconds to wait before the same request is sent again.",
        "schema": _SECONDS,
        "example": 1,
    },
    "Authenticate": {
        "description": "How a key is sent.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
        "example": "Bearer",
    },
}
"""Name of a component → a header of many answers."""

REQUEST_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "RequestTimeout": {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "description": "Milliseconds from the arrival of the request within which an answer is wanted: one that"
        " would come later is refused at once (503). Without it the server's own limits hold.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_MS},
        "example": 80,
    },
    "Platform": {
        "name": PLATFORM_HEADER,
        "in": "header",
        "required": True,
        "description": "Platform of the account, percent-encoded UTF-8.",
        "schema": {"type": "string", "pattern": PLATFORM_PATTERN},
        "example": "xiaohongshu",
    },
    "Account": {
        "name": ACCOUNT_HEADER,
        "in": "header",
        "required": True,
        "description": "The account's id on it, percent-encoded UTF-8; it never stands in an address.",
        "schema": {"type": "string", "pattern": ACCOUNT_PATTERN},
        "example": "reader%201",
    },
}
"""Name of a component → a parameter of many operations."""


def parameters_of(route: RouteSpec) -> list[dict[str, Any]]:
    """Return the parameters of an operation."""
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": value.meaning,
            "schema": {"type": "string", "pattern": value.pattern},
            "example": value.example,
        }
        for name, value in route.path_values.items()
    ]
    shared = ["Platform", "Account"] if route.about_me else []
    found += [_reference("parameters", name) for name in [*shared, *(["RequestTimeout"] if route.scope else [])]]
    if route.query is not None:
        properties = TypeAdapter(route.query).json_schema()["properties"]
        found += [{"name": name, "in": "query", "schema": _plain(schema)} for name, schema in properties.items()]
    return found


def headers_of(*, again: bool = False, keys: bool = False) -> dict[str, Any]:
    """Return the headers of an answer.

    Parameters
    ----------
    again
        Whether it may say when the request makes sense again.
    keys
        Whether it asks for a key.
    """
    named = {"X-Request-Id": "RequestId"}
    if again:
        named["Retry-After"] = "RetryAfter"
    if keys:
        named["WWW-Authenticate"] = "Authenticate"
    return {name: _reference("headers", component) for name, component in named.items()}


def _reference(kind: str, component: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{component}"}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that may be left out cannot be null in an address."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return {key: value for key, value in {**schema, **options[0]}.items() if key != "anyOf" and value is not None}
