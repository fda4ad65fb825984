"""The operations page says what the code does."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from features.settings import Settings
from serving.guard.connection import MOST_HEAD_BYTES
from serving.guard.limits import Limits
from serving.messages.conversion_schemas import (
    Candidate,
    CandidateAnswer,
    Context,
    ConversionsAnswer,
    ConversionsRequest,
)
from serving.messages.problems import Problem
from serving.messages.schemas import TagsAnswer, TagsRequest

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


CONVERSIONS = PAGE.partition("### `POST /v1/conversions`")[2].partition("\n### ")[0]


def example(name: str) -> object:
    found = re.search(rf"<!-- {name} -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_every_setting_is_listed_with_its_description() -> None:
    table = PAGE.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    shown = {name.strip("`"): (variable, meaning) for name, variable, _, meaning in rows}
    assert shown == {
        name: (f"`ZHONGCAO_{name.upper()}`", field.description) for name, field in Settings.model_fields.items()
    }


@pytest.mark.parametrize("name", [n for n, f in Settings.model_fields.items() if f.default_factory is None])
def test_defaults_are_those_of_the_code(name: str) -> None:
    assert f"| `{name}` | `ZHONGCAO_{name.upper()}` | `{Settings.model_fields[name].default}` |" in PAGE


def test_the_request_is_valid() -> None:
    request = TagsRequest.model_validate(example("request"))
    assert (len(request.people), request.explain) == (3, True)


@pytest.mark.parametrize("field", TagsRequest.model_fields)
def test_every_field_of_the_request_is_listed(field: str) -> None:
    default = TagsRequest.model_fields[field]
    shown = "" if default.is_required() else f"{default.default:g}" if field != "explain" else "false"
    assert re.search(rf"^\| `{field}` \| {shown} ?\|", PAGE, re.MULTILINE)


def test_the_answer_has_the_shape_that_is_given() -> None:
    answer = example("answer")
    assert asdict(TypeAdapter(TagsAnswer).validate_python(answer)) == answer


def test_the_request_for_conversions_is_valid() -> None:
    request = ConversionsRequest.model_validate(example("conversions request"))
    assert len(request.candidates) == 3


@pytest.mark.parametrize("field", ConversionsRequest.model_fields)
def test_every_field_of_the_request_for_conversions_is_listed(field: str) -> None:
    assert re.search(rf"^\| `{field}` \|", CONVERSIONS, re.MULTILINE)


@pytest.mark.parametrize("field", [*Candidate.model_fields, *Context.model_fields])
def test_every_field_of_a_candidate_and_its_context_is_named(field: str) -> None:
    assert f"`{field}`" in CONVERSIONS


def test_the_answer_for_conversions_has_the_shape_that_is_given() -> None:
    answer = example("conversions answer")
    assert asdict(TypeAdapter(ConversionsAnswer).validate_python(answer)) == answer


@pytest.mark.parametrize("part", [ConversionsAnswer, CandidateAnswer])
def test_every_field_of_the_answer_for_conversions_is_explained(part: type) -> None:
    explained = CONVERSIONS.partition("<!-- conversions answer -->")[2]
    assert [field.name for field in fields(part) if f"`{field.name}`" not in explained] == []


def test_the_problem_has_the_shape_that_is_given() -> None:
    shown = example("problem")
    assert isinstance(shown, dict)
    made = Problem(shown["status"], shown["detail"], errors=shown["errors"]).response(shown["request_id"])
    assert json.loads(bytes(made.body)) == shown


def test_limits_are_those_of_the_code() -> None:
    limits = Limits()
    for said in (
        f"more than {limits.body_bytes:,} bytes",
        f"more than {limits.depth} deep",
        f"within {limits.seconds:g} s",
        f"more than {limits.at_once} requests",
        f"more than {MOST_HEAD_BYTES:,} bytes of headers",
    ):
        assert said in PAGE


def test_every_path_of_the_home_is_listed() -> None:
    settings = Settings(home=Path("h"))
    paths = [name for name, value in vars(Settings).items() if isinstance(value, property)]
    names = {getattr(settings, name).relative_to("h").as_posix() for name in paths}
    listed = {
        name.rstrip("/") for name in re.findall(r"^\| `([\w./]+)` \| [^|`]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    }
    assert names <= listed | {"key"}
