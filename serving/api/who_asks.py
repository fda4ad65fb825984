"""Who asks about themselves: two headers, since ids stand in no address and in no usual access log."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from pydantic import ValidationError
from starlette.requests import Request

from serving.messages.problems import Problem
from serving.messages.schemas import AccountRef

PLATFORM_HEADER: Final = "Zhongcao-Platform"
ACCOUNT_HEADER: Final = "Zhongcao-Account"

_TRAIL: Final = "%[89ABab][0-9A-Fa-f]"
_CHARACTER: Final = "|".join(
    (
        "[ -$&-~]",
        "%[2-6][0-9A-Fa-f]",
        "%7[0-9A-Ea-e]",
        f"%(?:[Cc][2-9A-Fa-f]|[Dd][0-9A-Fa-f]){_TRAIL}",
        f"%[Ee]0%[ABab][0-9A-Fa-f]{_TRAIL}",
        f"%[Ee](?:[1-9A-CEFa-cef]{_TRAIL}|[Dd]%[89][0-9A-Fa-f]){_TRAIL}",
        f"%[Ff](?:0%[9ABab][0-9A-Fa-f]|[1-3]{_TRAIL}|4%8[0-9A-Fa-f]){_TRAIL}{_TRAIL}",
    )
)


def escaped(most: int) -> str:
    r"""Return the pattern of what such a header may hold, percent-encoded UTF-8 (RFC 3629, section 4).

    Printable ASCII may stand as it is, the percent sign alone may not: one account would be written in two ways.
    Control characters are left out, and so are blanks at either end, which HTTP takes away.

    Parameters
    ----------
    most
        Characters.

    Examples
    --------
    >>> [bool(re.search(escaped(3), said)) for said in ("%E8%8D%89 1", "a%25", "50%", "%C0%AF", "%0A", "abcd")]
    [True, True, False, False, False, False]
    """
    return f"^(?! )(?:{_CHARACTER}){{1,{most}}}(?<! )$"


PLATFORM_PATTERN: Final = escaped(64)
ACCOUNT_PATTERN: Final = escaped(256)
_HEADERS: Final = {
    "platform": (PLATFORM_HEADER, re.compile(PLATFORM_PATTERN)),
    "account": (ACCOUNT_HEADER, re.compile(ACCOUNT_PATTERN)),
}


def who_asks(request: Request) -> AccountRef:
    """Return the account that the headers name.

    Raises
    ------
    Problem
        They name none.
    """
    given = {}
    for field, (header, pattern) in _HEADERS.items():
        value = request.headers.get(header)
        if value is not None and pattern.fullmatch(value):
            given[field] = unquote(value, errors="strict")
    try:
        return AccountRef.model_validate(given)
    except ValidationError as error:
        needed = f"say who asks in the headers {PLATFORM_HEADER} and {ACCOUNT_HEADER}, percent-encoded UTF-8"
        raise Problem(422, needed) from error
