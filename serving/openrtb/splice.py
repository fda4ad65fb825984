"""Adding to a JSON text without touching the rest of it: numbers, order, blanks and unknown fields stay as sent."""

from __future__ import annotations

import json
from typing import Final

_BLANKS: Final = " \t\r\n"
# Numbers stay texts: they are only stepped over, and one of a million digits costs nothing.
_SKIP: Final = json.JSONDecoder(parse_int=str, parse_float=str)


def with_user_data(text: str, data: str) -> str:
    """Return a bid request with objects added at the end of ``user.data``.

    Parameters
    ----------
    text
        A JSON object, known to be one, with an object ``user`` in which ``data`` is absent, null or an array.
    data
        What to add: JSON objects joined by commas.

    Examples
    --------
    >>> with_user_data('{"id": "1", "user": {"data": [{"id": "x"}], "yob": 1e3}}', '{"id": "y"}')
    '{"id": "1", "user": {"data": [{"id": "x"},{"id": "y"}], "yob": 1e3}}'
    >>> with_user_data('{"user":{"id":"7"}}', '{}'), with_user_data('{"user":{ }}', '{}')
    ('{"user":{"id":"7","data":[{}]}}', '{"user":{ "data":[{}]}}')
    """
    start, end = _fields(text, _over_blanks(text, 0))["user"]
    fields = _fields(text, start)
    if "data" not in fields:
        comma = "," if fields else ""
        return f'{text[: end - 1]}{comma}"data":[{data}]{text[end - 1 :]}'
    start, end = fields["data"]
    if text[start] != "[":
        return f"{text[:start]}[{data}]{text[end:]}"
    comma = "" if text[_over_blanks(text, start + 1)] == "]" else ","
    return f"{text[: end - 1]}{comma}{data}{text[end - 1 :]}"


def _fields(text: str, start: int) -> dict[str, tuple[int, int]]:
    """Return name → where its value begins and ends, of the object that begins there; the last of a name counts."""
    found: dict[str, tuple[int, int]] = {}
    place = _over_blanks(text, start + 1)
    while text[place] != "}":
        name, place = _SKIP.raw_decode(text, place)
        begin = _over_blanks(text, _over_blanks(text, place) + 1)
        _, place = _SKIP.raw_decode(text, begin)
        found[name] = begin, place
        place = _over_blanks(text, place)
        if text[place] == ",":
            place = _over_blanks(text, place + 1)
    return found


def _over_blanks(text: str, place: int) -> int:
    while text[place] in _BLANKS:
        place += 1
    return place
