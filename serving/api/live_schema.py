"""The schema of what `POST /v1/events` takes: from the canonical table's own columns."""

from __future__ import annotations

from typing import Any, Final

from features.events import EVENTS
from features.inbox.live_columns import TEXT_LENGTH
from serving.api.events import MOST_EVENTS

_TYPES: Final[dict[str, dict[str, Any]]] = {
    "time": {"type": ["integer", "string"]},
    "money": {"type": ["integer", "string"]},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH}
_COLUMNS: Final = [column for column in EVENTS.columns if not column.made and column.name != "arrived_at"]

LIVE_EVENT: Final[dict[str, Any]] = {
    "title": "LiveEvent",
    "description": "One event; docs/connect-a-shop.md says how each field is read.",
    "type": "object",
    "properties": {
        column.name: {**_TYPES.get(column.type, _TEXT), "description": column.meaning} for column in _COLUMNS
    },
    "required": [column.name for column in _COLUMNS if column.required],
    "additionalProperties": False,
}
"""A valid event."""

EVENTS_BODY: Final[dict[str, Any]] = {
    "title": "EventsRequest",
    "description": "What is no valid event is told so in its verdict, and the others go in.",
    "type": "object",
    "properties": {
        "events": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_EVENTS,
            "items": {"anyOf": [{"$ref": "#/components/schemas/LiveEvent"}, {}]},
        }
    },
    "required": ["events"],
    "additionalProperties": False,
}
"""The body of the route."""
