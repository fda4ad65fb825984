"""Reading the body of a request: JSON, then its fields; faults are named without repeating what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from serving.messages.problems import Problem

Body = TypeVar("Body", bound=BaseModel)
_SHOWN_ERRORS: Final = 10
_SHOWN_NAME: Final = 40


def parse(body: bytes, wanted: type[Body], parts: Mapping[str, type[BaseModel]]) -> Body:
    """Read a body.

    Parameters
    ----------
    body
        As it was sent, within the limits.
    wanted
        What it must be.
    parts
        Name of a field that holds an object, or of a way to say something, such as ``<by key>`` → what the object
        must be: its fields are named where an unknown one is sent.

    Raises
    ------
    Problem
        400 where it is no JSON, 422 where a field is at fault.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON (line {error.lineno}, column {error.colno})") from error
    try:
        return wanted.model_validate(document)
    except ValidationError as error:
        said = f"the body has {_count(error.error_count())}; docs/operations.md shows a valid one"
        raise Problem(422, said, errors=faults_of(error, wanted, parts)) from error


def faults_of(
    error: ValidationError, wanted: type[BaseModel], parts: Mapping[str, type[BaseModel]]
) -> list[dict[str, str]]:
    """Return the first faults as the answer lists them, without what was sent; parameters as of `parse`."""
    return [
        {
            "where": _where(fault["loc"]),
            "problem": _what(fault["type"], fault["msg"], _inside(fault["loc"], wanted, parts)),
        }
        for fault in error.errors(include_input=False, include_url=False, include_context=False)[:_SHOWN_ERRORS]
    ]


def _count(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _where(location: tuple[int | str, ...]) -> str:
    # Pydantic names the way in which something was said, too, which is no part of the body.
    path = [str(part)[:_SHOWN_NAME] for part in location if not str(part).startswith("<by ")]
    return ".".join(path) or "body"


def _inside(
    location: tuple[int | str, ...], wanted: type[BaseModel], parts: Mapping[str, type[BaseModel]]
) -> type[BaseModel]:
    """Return what the object must be that holds the field at fault."""
    return parts.get(str(location[-2]), wanted) if len(location) > 1 else wanted


def _what(kind: str, message: str, inside: type[BaseModel]) -> str:
    match kind:
        case "extra_forbidden":
            return f"unknown field; valid: {', '.join(inside.model_fields)}"
        case "model_type" | "model_attributes_type":
            return "an object is needed here"
        case _:
            return message
