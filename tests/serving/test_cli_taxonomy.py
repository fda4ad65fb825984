from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import LogTooShortError, TaxonomyError
from features.taxonomy.taxonomy import load_taxonomy
from serving.cli.main import build_app
from serving.tags.nutrition import label_rows
from tests.serving.fakes import TAXONOMY
from tests.serving.homes import tiny_home
from tests.source_tree import ROOT

AUDIENCE = ROOT / "examples" / "complete_journey" / "audience.toml"
MAPPING = """
source = "till"
platform = "shop"
time = "epoch_s"
columns = { kind = "kind", event_time = "at", account = "who", category = "shelf", amount = "paid" }
kinds = { sale = "purchase" }
"""
START = 1_500_000_000
DAY = 86_400


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("ZHONGCAO_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log(home: Path) -> Path:
    rows = [
        ("sale", START + day * DAY, f"p{person:02}", shelf, 100 + person)
        for person in range(30)
        for shelf, step in (("MILK", 7), ("SALT", 50), ("TEA", 2 + person))
        for day in range(person % 5, 130, step)
    ]
    with (home / "till.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("kind", "at", "who", "shelf", "paid"), *rows])
    (home / "till.toml").write_text(MAPPING, encoding="utf-8")
    run("import", "--mapping", "till.toml", "till.csv")
    return home


def run(*words: str) -> str:
    result = CliRunner().invoke(build_app(), words, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_shows_tags_that_have_all_words(home: Path) -> None:
    output = run("taxonomy", "list", "--taxonomy", str(AUDIENCE), "--words", "宠物 heavy")
    assert "pets.heavy" in output
    assert "宠物:高消费" in output
    assert "sum(purchase, amount) >= quantile(sum(purchase, amount, past=30), 0.8)" in output
    assert "1 of 210 tags; next: zhongcao taxonomy show TAG" in output


def test_show_prints_the_nutrition_label(home: Path) -> None:
    output = run("taxonomy", "show", "pets.premium", "--taxonomy", str(AUDIENCE))
    for words in ("Pets: premium / 宠物:偏好高端", "90 days before", "purchase events", "1279", "modelled"):
        assert words in output


@pytest.mark.parametrize(
    ("tag", "field", "expected"),
    [
        ("frequent-shopper", "measured within", "all events"),
        ("frequent-shopper", "look-back of the rule", "none, the rule is about the future only"),
        ("vegetables.heavy", "measured within", "vegetables: POTATOES, ONIONS, .* and 1 more categories"),
        ("fading", "look-back of the rule", "30 days before"),
    ],
)
def test_a_label_says_where_a_rule_looks(tag: str, field: str, expected: str) -> None:
    taxonomy = load_taxonomy(AUDIENCE)
    assert re.fullmatch(expected, dict(label_rows(taxonomy, taxonomy.tag(tag)))[field])


def test_the_serving_model_s_taxonomy_is_shown_by_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tiny_home(home / "var")
    output = run("taxonomy", "show", TAXONOMY.tags[0].id)
    assert TAXONOMY.tags[0].meaning in output
    assert f"{len(TAXONOMY.tags)} of {len(TAXONOMY.tags)} tags" in run("taxonomy", "list")


def test_check_counts_without_a_log(home: Path) -> None:
    output = run("taxonomy", "check", str(AUDIENCE))
    assert "is valid: 210 tags, 27 verticals, 193 categories, 206 tags with an IAB id" in output
    assert "base rate" not in output


def test_check_refuses_what_is_not_valid(home: Path) -> None:
    (home / "odd.toml").write_text('name = "odd"\ncolour = "red"\n', encoding="utf-8")
    with pytest.raises(TaxonomyError, match="unknown field colour; valid: name"):
        run("taxonomy", "check", "odd.toml")


def test_a_draft_is_written_once_and_checked_against_the_log(log: Path) -> None:
    said = run("taxonomy", "propose", "--out", "draft.toml", "--size", "12", "--name", "till")
    assert "wrote draft.toml; next: edit it, then zhongcao taxonomy check draft.toml" in said
    assert load_taxonomy(log / "draft.toml").name == "till"
    checked = run("taxonomy", "check", "draft.toml")
    assert "0 too rare, 0 too common" in checked
    with pytest.raises(TaxonomyError, match=r"the file exists already: 'draft.toml'; name another one with --out"):
        run("taxonomy", "propose", "--out", "draft.toml")
    with pytest.raises(TaxonomyError, match="field name"):
        run("taxonomy", "propose", "--name", "My Shop")


def test_check_names_the_file_that_is_no_taxonomy(home: Path) -> None:
    (home / "till.toml").write_text(MAPPING)
    with pytest.raises(TaxonomyError, match=r"^till.toml: (unknown field|field name is missing)"):
        run("taxonomy", "check", "till.toml")


def test_rare_and_common_tags_are_named(log: Path) -> None:
    run("taxonomy", "propose", "--shape", "categories", "--out", "all.toml")
    table = [line.split("│") for line in run("taxonomy", "check", "all.toml").splitlines() if "│" in line]
    verdicts = {cells[1].strip(): [cell.strip() for cell in cells[2:4]] for cells in table}
    assert verdicts["milk"] == ["100.00%", "too common"]
    assert verdicts.keys() == {"milk", "salt", "tea"}
    strict = run("taxonomy", "check", "all.toml", "--rarest", "1")
    assert "too rare" in strict


def test_check_says_when_the_log_is_too_short(log: Path) -> None:
    with pytest.raises(LogTooShortError, match=r"nobody had an event before .* check the file alone with --no-log"):
        run("taxonomy", "check", str(AUDIENCE), "--as-of", "2017-07-20")


def test_propose_without_a_file_prints_toml(log: Path) -> None:
    result = CliRunner().invoke(
        build_app(), ["taxonomy", "propose", "--shape", "categories"], catch_exceptions=False
    )
    assert 'rule = "count(purchase) >= 1"' in result.stdout
    assert "next: write it to a file with --out FILE" in result.stderr


def test_without_a_file_or_a_champion_the_ways_out_are_named(home: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"no file is named, .* --taxonomy, or run `zhongcao retrain`"):
        run("taxonomy", "list")
