from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.openrtb.splice import with_user_data

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text(max_size=4)
VALUES = st.recursive(
    LEAVES | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
DATA = st.sampled_from([{}, {"data": None}, {"data": []}, {"data": [{"id": "x"}]}])
NEW = [{"id": "new"}, {"id": "newer"}]


@given(OBJECTS, OBJECTS.filter(lambda user: "data" not in user), DATA, st.sampled_from([None, 0, 2]), st.booleans())
def test_only_the_data_grow(
    rest: dict[str, Any], user: dict[str, Any], data: dict[str, Any], indent: int | None, first: bool
) -> None:
    user = {**data, **user} if first else {**user, **data}
    request = {**rest, "user": user, "z": 1}
    added = ",".join(json.dumps(one) for one in NEW)
    grown = with_user_data(json.dumps(request, indent=indent, ensure_ascii=first), added)
    assert json.loads(grown) == {**request, "user": {**user, "data": [*(user.get("data") or []), *NEW]}}


@pytest.mark.parametrize(
    ("text", "grown"),
    [
        ('{"user":{}}', '{"user":{"data":[{}]}}'),
        ('{"user":{"data":[ ]}, "p": 1.10}', '{"user":{"data":[ {}]}, "p": 1.10}'),
        (
            '{"n":12345678901234567890123,"user":{"data":null}}',
            '{"n":12345678901234567890123,"user":{"data":[{}]}}',
        ),
        ('{"user":1,"user":{"id":"7"}}', '{"user":1,"user":{"id":"7","data":[{}]}}'),
        ('{"us\\u0065r":{"d\\u0061ta":[1]}}', '{"us\\u0065r":{"d\\u0061ta":[1,{}]}}'),
        ('{"x":"\\"user\\":{","user":{}}', '{"x":"\\"user\\":{","user":{"data":[{}]}}'),
        ('{"n":' + "9" * 5000 + ',"user":{}}', '{"n":' + "9" * 5000 + ',"user":{"data":[{}]}}'),
    ],
)
def test_what_is_not_added_to_stays_to_the_letter(text: str, grown: str) -> None:
    assert with_user_data(text, "{}") == grown
