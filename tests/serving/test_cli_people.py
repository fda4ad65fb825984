from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from features.errors import RequestError
from features.people.identity import account_key, load_key
from features.rights.ledger import Rights
from features.settings import load_settings
from serving.cli.main import build_app
from tests.serving.canaries import CANARY, found, full_home, keys

SHOP = ("--platform", "shop", "--account", "13800138000")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(tmp_path / "home" / "mlruns"))
    return tmp_path


def people(*words: str, **given: str) -> Result:
    return CliRunner().invoke(build_app(), ["people", *words], **given)


def said() -> tuple[set[str], dict[str, set[str]]]:
    rights = Rights(load_settings())
    try:
        return set(rights.refused()), {key: set(tags) for key, tags in rights.deleted_tags().items()}
    finally:
        rights.close()


def test_opting_out_and_in_and_deleting_a_tag() -> None:
    assert people("opt-out", *SHOP).exit_code == 0
    key = account_key(load_key(load_settings()), "shop", "13800138000")
    assert said() == ({key}, {})
    assert people("opt-in", "--person", key).exit_code == 0
    done = people("delete-tag", "dairy.will-buy", *SHOP[:2], input="13800138000\n")
    assert (done.exit_code, "13800138000" in done.output) == (0, False)
    assert said() == (set(), {key: {"dairy.will-buy"}})


def test_a_deleted_tag_leaves_what_was_written(home: Path) -> None:
    settings = full_home(home)
    person, accounts = keys(settings)
    done = people("delete-tag", "dairy.will-buy", "--platform", "shop", "--account", CANARY)
    assert "3 lines were deleted from batch outputs" in done.output  # scores, and memberships in two shapes
    assert said()[1] == {key: {"dairy.will-buy"} for key in (person, *accounts)}
    manifest = json.loads((home / "scores" / "_manifest.json").read_text())
    assert (manifest["people"], manifest["scores"]) == (4, 7)


def test_erasing_prints_the_receipt_and_no_id(home: Path) -> None:
    settings = full_home(home)
    person, _ = keys(settings)
    assert "nobody was erased" in people("erasures").output
    done = people("erase", "--person", person)
    assert (done.exit_code, person in done.output) == (0, False)
    receipt = json.loads(done.output.partition("next:")[0])
    assert receipt["places"][0] == {"place": "inbox", "removed": 14, "cut_off": False}
    assert found(settings.home, [CANARY, person]) == []
    assert json.loads(people("erasures").output) == receipt
    assert people("erase", "--pending").output == "next: zhongcao retrain trains without them\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [(("--person", "ann"), "32 hexadecimal digits"), ((), "say who"), (("--person", "a" * 32, *SHOP), "say who")],
)
def test_who_must_be_said(words: tuple[str, ...], problem: str) -> None:
    done = people("opt-out", *words)
    assert isinstance(done.exception, RequestError)
    assert problem in str(done.exception)
