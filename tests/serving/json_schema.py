"""A small JSON Schema checker of our own, so that the document is judged by something that did not make it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
SILENT = {"title", "description", "default", "examples", "$ref"}


def is_of(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def faults(value: Any, schema: Any, root: dict[str, Any], where: str = "") -> Iterator[str]:
    """Yield what is wrong with a value; objects with named properties may have no others."""
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from faults(value, target, root, where)
    unknown = set(schema) - SILENT - set(CHECKS)
    assert not unknown, f"the checker does not know {unknown}"
    for keyword, argument in schema.items():
        if keyword in CHECKS:
            yield from CHECKS[keyword](value, argument, schema, root, where)


def _type(value: Any, kinds: Any, *_: Any) -> Iterator[str]:
    if not any(is_of(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{_[2]}: not of type {kinds}"


def _properties(value: Any, named: dict[str, Any], schema: Any, root: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    if "additionalProperties" not in schema and "type" in schema:
        yield from (f"{where}: undocumented {name}" for name in value.keys() - named.keys())
    for name in value.keys() & named.keys():
        yield from faults(value[name], named[name], root, f"{where}.{name}")


def _additional(value: Any, allowed: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            if allowed is False:
                yield f"{where}: undocumented {name}"
            elif allowed is not True:
                yield from faults(value[name], allowed, root, f"{where}.{name}")


def _required(value: Any, names: list[str], _: Any, __: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{where}: {name} is missing" for name in names if name not in value)


def _items(value: Any, schema: Any, _: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for place, one in enumerate(value):
            yield from faults(one, schema, root, f"{where}[{place}]")


def _some(value: Any, options: list[Any], _: Any, root: Any, where: str) -> Iterator[str]:
    if not any(not list(faults(value, option, root, where)) for option in options):
        yield f"{where}: none of {len(options)} ways"


def _one(value: Any, options: list[Any], _: Any, root: Any, where: str) -> Iterator[str]:
    if sum(not list(faults(value, option, root, where)) for option in options) != 1:
        yield f"{where}: not exactly one of {len(options)} ways"


def _all(value: Any, parts: list[Any], _: Any, root: Any, where: str) -> Iterator[str]:
    for part in parts:
        yield from faults(value, part, root, where)


def _within(holds: Any) -> Any:
    def check(value: Any, bound: Any, _: Any, __: Any, where: str) -> Iterator[str]:
        if not holds(value, bound):
            yield f"{where}: beyond {bound}"

    return check


def _number(value: Any) -> bool:
    return is_of(value, "number")


CHECKS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "anyOf": _some,
    "oneOf": _one,
    "allOf": _all,
    "enum": _within(lambda value, allowed: value in allowed),
    "const": _within(lambda value, wanted: value == wanted),
    "minimum": _within(lambda value, low: not _number(value) or value >= low),
    "maximum": _within(lambda value, high: not _number(value) or value <= high),
    "exclusiveMinimum": _within(lambda value, low: not _number(value) or value > low),
    "exclusiveMaximum": _within(lambda value, high: not _number(value) or value < high),
    "minLength": _within(lambda value, low: not isinstance(value, str) or len(value) >= low),
    "maxLength": _within(lambda value, high: not isinstance(value, str) or len(value) <= high),
    "minItems": _within(lambda value, low: not isinstance(value, list) or len(value) >= low),
    "maxItems": _within(lambda value, high: not isinstance(value, list) or len(value) <= high),
    "pattern": _within(lambda value, wanted: not isinstance(value, str) or re.search(wanted, value) is not None),
}
