"""The OpenAPI document is true: every route is in it, and real answers are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from typer.testing import CliRunner

from features.errors import EventLogError
from serving.api.openapi import openapi
from serving.api.route_table import NEEDS, ROUTES, RouteSpec
from serving.api.routes import build_api
from serving.champions.served import Served
from serving.cli.main import build_app
from serving.messages.problem_kinds import KINDS
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, call
from tests.serving.fakes import fake_scorer
from tests.serving.json_schema import faults

DOCUMENT = openapi()
OPERATIONS = {
    (method, path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


def test_every_mounted_route_is_in_it() -> None:
    mounted = {
        (method.lower(), route.path)
        for route in build_api(Served(EventLogError("none")), Served(EventLogError("none"))).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert mounted == set(OPERATIONS)


def test_every_path_has_its_scope() -> None:
    assert {NEEDS.get(re.sub(r"\{\w+\}", "x", route.path)) for route in ROUTES if route.scope} == {
        "predict",
        "ingest",
        "export",
        "admin",
    }
    assert [NEEDS.get(path, "admin") for path in ("/v1/tags/", "/v1/tags/a/b", "/x", "/v1/tags/a\nb")] == [
        "admin", "admin", "admin", "predict",
    ]  # fmt: skip


def test_every_reference_leads_somewhere() -> None:
    for found in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        target = DOCUMENT
        for part in found.split("/"):
            target = target[part]


def test_every_kind_of_problem_is_explained() -> None:
    assert DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] == [k.type for k in KINDS]
    for kind in KINDS:
        example = DOCUMENT["components"]["examples"][kind.name]["value"]
        assert list(faults(example, {"$ref": "#/components/schemas/Problem"}, DOCUMENT)) == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_examples_are_as_the_schemas_say(route: RouteSpec) -> None:
    operation = OPERATIONS[route.method.lower(), route.path]
    body, answer = route.examples
    if route.request is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert list(faults(body, schema, DOCUMENT)) == []
    if answer is not None:
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert list(faults(answer, schema, DOCUMENT)) == []


PEOPLE = [{"platform": "shop", "account": "dairy lover"}, {"platform": "x", "account": "y"}]
WHO = {"Zhongcao-Platform": "shop", "Zhongcao-Account": "dairy%20lover"}
SHOWN = {"people": [PEOPLE[0]], "candidates": ["n"], "context": {"platform": "red"}}
Call = tuple[str, str, str, dict[str, Any], int]
CALLS: list[Call] = [
    ("post", "/v1/tags", "", {"json": {"people": PEOPLE, "explain": True, "top": 2}}, 200),
    ("post", "/v1/tags", "", {"json": {"people": []}}, 422),
    ("post", "/v1/tags", "", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("post", "/v1/tags", "", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
    ("post", "/v1/tags", "", {"json": {"people": [{"platform": "p", "account": "x" * 2_100_000}]}}, 413),
    ("post", "/v1/tags", "", {"json": {"people": PEOPLE}, "headers": {"Authorization": "Bearer zc_no"}}, 401),
    ("get", "/v1/tags", "?limit=2", {}, 200),
    ("get", "/v1/tags", "?after=fish.will-buy", {}, 200),
    ("get", "/v1/tags", "?limit=0", {}, 422),
    ("get", "/v1/tags", "?after=none", {}, 404),
    ("get", "/v1/tags/{tag}", "dairy.will-buy", {}, 200),
    ("get", "/v1/tags/{tag}", "none", {}, 404),
    ("get", "/v1/people/me/tags", "", {"headers": WHO}, 200),
    ("get", "/v1/people/me/tags", "", {"headers": {**WHO, "Zhongcao-Account": "nobody"}}, 200),
    ("get", "/v1/people/me/tags", "", {}, 422),
    ("put", "/v1/people/me/opt-out", "", {"headers": WHO}, 503),
    ("delete", "/v1/people/me/opt-out", "", {}, 422),
    ("delete", "/v1/people/me/tags/{tag}", "dairy.will-buy", {"headers": WHO}, 503),
    ("delete", "/v1/people/me", "", {"headers": WHO}, 503),
    ("post", "/v1/conversions", "", {"json": SHOWN}, 422),
    ("post", "/v1/events", "", {"json": {"events": [{}]}}, 503),
    ("get", "/livez", "", {}, 200),
    ("get", "/readyz", "", {}, 200),
    ("get", "/v1/openapi.json", "", {}, 200),
]  # fmt: skip


@pytest.mark.parametrize("asked", CALLS, ids=lambda asked: f"{asked[0]} {asked[1]}{asked[2]} {asked[4]}")
def test_real_answers_are_as_it_says(scorer: Scorer, tmp_path: Path, asked: Call) -> None:
    method, path, rest, request_, status = asked
    address = path.replace("{tag}", rest) if "{" in path else path + rest
    response = call(application(scorer, tmp_path), lambda http: http.request(method, address, **request_))
    assert response.status_code == status
    said = OPERATIONS[method, path]["responses"][str(status)]
    kind, content = next(iter(said["content"].items()))
    assert response.headers["content-type"] == kind
    assert list(faults(response.json(), content["schema"], DOCUMENT)) == []
    for name, header in said["headers"].items():
        schema = DOCUMENT["components"]["headers"]["RequestId"]["schema"] if name == "X-Request-Id" else None
        assert schema is None or list(faults(response.headers[name], schema, DOCUMENT)) == []
        assert name in response.headers or not header.get("required")


def test_the_document_is_served_where_a_key_is_needed(scorer: Scorer, tmp_path: Path) -> None:
    app = application(scorer, tmp_path, loopback=False)
    assert call(app, lambda http: http.get("/v1/openapi.json")).status_code == 401


def test_the_command_writes_the_same_document(tmp_path: Path) -> None:
    out = tmp_path / "openapi.json"
    said = CliRunner().invoke(build_app(), ["openapi", "--out", str(out)])
    assert said.exit_code == 0
    assert json.loads(out.read_bytes()) == json.loads(json.dumps(DOCUMENT))
    assert CliRunner().invoke(build_app(), ["openapi"]).stdout_bytes == out.read_bytes()
