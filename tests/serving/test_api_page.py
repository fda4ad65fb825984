"""The page on the API says what the code does, and the example of an ad server works."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from serving import client
from serving.api.route_examples import EXAMPLES
from serving.api.route_table import ROUTES, RouteSpec
from serving.api.who_asks import ACCOUNT_HEADER, PLATFORM_HEADER
from serving.guard.limits import Limits
from serving.messages.conversion_schemas import MOST_CANDIDATES
from serving.messages.problem_kinds import KINDS
from serving.messages.schemas import MOST_EXPLAINED, MOST_PEOPLE
from serving.openrtb.enrich import MOST_SEGMENTS, STATUSES
from serving.openrtb.routes import STATUS_HEADER, TMAX_SHARE, USUAL_TMAX
from serving.tags.catalogue import MOST_LISTED, USUALLY_LISTED
from tests.source_tree import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"<!-- (\w+) (request|answer) -->\n```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_listed_with_its_scope(route: RouteSpec) -> None:
    row = next(
        line for line in PAGE.splitlines() if line.startswith("|") and f"`{route.method} {route.path}`" in line
    )
    assert row.split("|")[2].strip() == (route.scope or "none")


def test_examples_are_those_of_the_document() -> None:
    assert {name for name, _, _ in SHOWN} == {"catalogue", "own_tags", "openrtb_enrich"}
    for name, part, text in SHOWN:
        assert json.loads(text) == EXAMPLES[name][part == "answer"]


def test_every_kind_of_problem_is_listed() -> None:
    section = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{kind.name}` | {kind.status} | {kind.meaning} | {'later' if kind.again else 'no'} |" for kind in KINDS
    ]


def test_everything_that_becomes_of_bid_requests_is_listed() -> None:
    table = PAGE.partition(f"| `{STATUS_HEADER}` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == set(STATUSES)


def test_numbers_are_those_of_the_code() -> None:
    limits = Limits()
    assert MOST_PEOPLE == MOST_CANDIDATES == MOST_EXPLAINED == 1000
    assert TMAX_SHARE == 0.5
    for said in (
        f"{limits.body_bytes:,} bytes, nested {limits.depth} deep",
        f"| requests in work | {limits.at_once};",
        f"| {limits.seconds:g} s |",
        f"{MOST_LISTED:,}; {USUALLY_LISTED} where nothing is said",
        f"most probable first, {MOST_SEGMENTS} at most",
        f"one of {USUAL_TMAX} ms",
        f"{PLATFORM_HEADER}: ",
        f"{ACCOUNT_HEADER}: ",
        "three times within 30 s",
    ):
        assert said in PAGE
    assert (client.Retries().tries, client.Retries().within) == (3, 30)


def test_every_error_of_the_client_is_named() -> None:
    errors = [name for name in client.__all__ if name.endswith("Error") and name != "ClientError"]
    assert [name for name in errors if f"`{name}`" not in PAGE] == []


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ad_server", ROOT / "examples" / "ad_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Data classes look up the module that they are in.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


Answer = Callable[[], httpx.Response]


def late() -> httpx.Response:
    raise httpx.ReadTimeout("late")


def tags(status: str) -> Answer:
    tag = {
        "id": "dairy.will-buy",
        "name": "n",
        "name_zh": "n",
        "probability": 0.9,
        "assigned": True,
        "factors": None,
    }
    person: dict[str, Any] = {
        "person": {},
        "status": status,
        "as_of": 1,
        "tags": [tag] if status == "known" else [],
    }
    return lambda: httpx.Response(200, json={"model": "m", "people": [person]})


@pytest.mark.parametrize(
    ("answer", "chance", "personal"),
    [
        (tags("known"), 0.9, True),
        (tags("unknown"), 0.413, False),
        (late, 0.413, False),
        (lambda: httpx.Response(503), 0.413, False),
    ],
)
def test_an_ad_server_always_has_something_to_go_by(
    example: ModuleType, answer: Answer, chance: float, personal: bool
) -> None:
    page = {**EXAMPLES["catalogue"][1], "next": None}

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=page) if request.method == "GET" else answer()

    retries = client.Retries(tries=1)
    with client.Client("http://x", transport=httpx.MockTransport(server), retries=retries) as zhongcao:
        found = example.Audience(zhongcao).chances(client.Account("shop", "1"))
    assert (found.by_tag, found.personal) == ({"dairy.will-buy": chance}, personal)
