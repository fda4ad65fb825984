from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.splice import with_user_data

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=8,
)
USERS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3).flatmap(
    lambda user: st.sampled_from([user, user | {"data": None}, user | {"data": []}, user | {"data": [{"id": "x"}]}])
)


@given(
    VALUES,
    USERS,
    st.dictionaries(st.text(max_size=4), VALUES, max_size=3),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.booleans(),
)
def test_only_the_data_grow(
    first: Any, user: dict[str, Any], rest: dict[str, Any], indent: int | None, escaped: bool, last: bool
) -> None:
    request = (
        {**rest, "user": user} if last else {"a": first, "user": user, **{k: rest[k] for k in rest if k != "user"}}
    )
    text = json.dumps(request, indent=indent, ensure_ascii=escaped)
    grown = with_user_data(text, '{"id":"new"},{"id":"newer"}')
    user = user | {"data": [*(user.get("data") or []), {"id": "new"}, {"id": "newer"}]}
    assert json.loads(grown) == {**request, "user": user}


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
