"""Documents say what is so: commands parse, links lead somewhere, examples run."""

from __future__ import annotations

import ast
import doctest
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated

import pytest
import typer

from serving.cli.main import build_app
from tests.command_tree import misunderstanding, verbs
from tests.documented import Block, Command, anchors, commands, documents, links, mentions, prose_and_blocks
from tests.source_tree import ROOT

BLOCKS = [block for document in documents() for block in prose_and_blocks(document)[1]]
COMMANDS = [command for document in documents() for command in commands(document)]
SHOWN = [command for command in COMMANDS if command.program == "zhongcao"]
RESULTS = ROOT / "bench" / "results" / "tag_quality.json"
MAKE_TARGET = re.compile(r"^([a-z.-]+):", re.MULTILINE)


def blocks(language: str) -> list[object]:
    return [pytest.param(b, id=f"{b.document}:{b.line}") for b in BLOCKS if b.language == language]


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_documented_command_is_understood(command: Command) -> None:
    assert misunderstanding(build_app(), command.words[1:]) is None


@pytest.mark.parametrize("verb", verbs(build_app()), ids=" ".join)
def test_every_verb_is_documented(verb: tuple[str, ...]) -> None:
    phrase = re.compile(rf"zhongcao {' '.join(verb)}\b")
    assert [str(doc) for doc in documents() if phrase.search((ROOT / doc).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("document", documents(), ids=str)
def test_mentioned_verbs_exist(document: Path) -> None:
    known = verbs(build_app())
    unknown = [
        words
        for words in mentions(document)
        if not any(words[: len(verb)] == verb or verb[: len(words)] == words for verb in known)
    ]
    assert unknown == []


def test_documented_make_targets_exist() -> None:
    targets = set(MAKE_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    shown = [command for command in COMMANDS if command.program == "make"]
    asked = {word for command in shown for word in command.words[1:] if "=" not in word}
    assert {"demo", "test"} <= asked <= targets


def test_result_table_shows_what_was_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- bench:tag_quality -->")[2].partition("<!-- /bench -->")[0]
    if not RESULTS.exists():
        assert "Not measured yet" in shown
        return
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))
    figures = {
        f"{measured[model][figure]:.{decimals}f}"
        for model in ("zhongcao", "history_count", "logistic_regression", "one_vs_rest_lightgbm")
        for figure, decimals in (("macro_auc", 3), ("macro_ap", 3), ("log_loss", 4))
    }
    assert figures <= set(re.findall(r"\d\.\d+", shown))


@pytest.mark.parametrize("document", documents(), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target.resolve().relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("block", blocks("python"))
def test_python_examples_run(block: Block) -> None:
    if ">>> " not in block.body:
        ast.parse(block.body)
        return
    test = doctest.DocTestParser().get_doctest(block.body, {}, str(block.document), str(block.document), block.line)
    output: list[str] = []
    failed, attempted = doctest.DocTestRunner().run(test, out=output.append)
    assert attempted > 0
    assert failed == 0, "".join(output)


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_examples_parse(block: Block) -> None:
    assert tomllib.loads(block.body)


@pytest.mark.parametrize("block", blocks("json"))
def test_json_examples_parse(block: Block) -> None:
    assert json.loads(block.body)


def test_every_document_is_in_the_index() -> None:
    listed = {(ROOT / "docs" / link).resolve() for link in links(Path("docs/README.md"))}
    there = {path.resolve() for path in (ROOT / "docs").rglob("*.md")} - {(ROOT / "docs" / "README.md").resolve()}
    assert there - listed == set()


@pytest.fixture
def small_app() -> typer.Typer:
    app = typer.Typer()
    group = typer.Typer()
    app.add_typer(group, name="taxonomy")

    @app.command()
    def serve(port: Annotated[int, typer.Option()] = 3000) -> None: ...

    @group.command("show")
    def show(tag: str, taxonomy: Annotated[Path, typer.Option()]) -> None: ...

    return app


def test_verbs_are_found_in_groups(small_app: typer.Typer) -> None:
    assert verbs(small_app) == [("serve",), ("taxonomy", "show")]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("serve --port 8080", None),
        ("taxonomy --help", None),
        ("taxonomy show beauty.heavy --taxonomy shop.toml", None),
        ("taxonomy shown beauty.heavy", "no verb"),
        ("serve --prot 8080", "--prot"),
        ("serve now", "too many words"),
        ("taxonomy show --taxonomy shop.toml", "missing: .'tag'"),
        ("taxonomy show beauty.heavy", "missing: .'taxonomy'"),
    ],
)
def test_misunderstandings_are_named(small_app: typer.Typer, words: str, problem: str | None) -> None:
    said = misunderstanding(small_app, words.split())
    assert said is None if problem is None else re.search(problem, said or "")


def test_commands_are_taken_in_order_and_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doc.md").write_text(
        "Type\n\n```console\n$ zhongcao import \\\n    complete-journey\nimported\n"
        "$ ZHONGCAO_HOME=x zhongcao log | head\n```\n"
        "\n```sh no-run\n# forever\n.venv/bin/zhongcao serve &\n```\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("tests.documented.ROOT", tmp_path)
    found = commands(Path("doc.md"))
    assert [command.words for command in found] == [
        ("zhongcao", "import", "complete-journey"),
        ("zhongcao", "log"),
        (".venv/bin/zhongcao", "serve"),
    ]
    assert [command.program for command in found] == ["zhongcao"] * 3
    assert [command.runs for command in found] == [True, True, False]
    assert [command.block.line for command in found] == [4, 4, 11]
