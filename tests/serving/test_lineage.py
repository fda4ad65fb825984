"""Where a model comes from, as its bundle, the pointers, the verdicts and the runs tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from features.errors import BundleError
from features.settings import Settings
from serving.cli.main import build_app
from serving.jobs.lineage import lineage, tree
from serving.jobs.promotion import verdict_file
from tests.serving.conversion_homes import AS_OF, copied
from training.bundles.manifest import CONVERSION, TAGS
from training.bundles.pointer import Promotion, move_pointer
from training.code import code_version

CHECKS = [{"name": "calibration", "status": "PASS", "said": "as good", "count": 0}]
VERDICT = {
    "promote": True,
    "reason": "tags-2 may serve",
    "report": {"about": "promotion", "checks": CHECKS},
    "sides": {"champion": "tags-1", "challenger": "tags-2"},
    "forced": {"because": "for the test", "at": 8},
}
RUN = {
    "run": "20240125T000000-1",
    "as_of": AS_OF,
    "code_name": "done",
    "said": "tags: tags-2 may serve",
    "versions": {"tags": "tags-2"},
    "data": {"checks": [{"status": "PASS"}, {"status": "PASS"}, {"status": "WARN"}]},
}


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def home(conversion_home: Settings, tmp_path: Path) -> Settings:
    """A home in which the second tag model took the place of the first, and a conversion model reads its scores."""
    home = copied(conversion_home, tmp_path)
    taxonomy = {"name": "small", "version": 3, "tags": [{}, {}]}
    about = {"as_of": AS_OF, "data_version": "v0-9-abc", "code_version": code_version(), "taxonomy_hash": "f00d"}
    write(home.bundles_dir / "tags-2", about=about, taxonomy=taxonomy)
    reads = {"as_of": AS_OF, "data_version": "v7-9-abc", "code_version": "old", "tags_bundle": "tags-2"}
    write(home.bundles_dir / "conversion-1", about=reads)
    for number in (1, 2):
        move_pointer(home, TAGS, Promotion(f"tags-{number}", number, by="ann"))
    move_pointer(home, CONVERSION, Promotion("conversion-1", 3))
    verdict_file(home, "tags-2").parent.mkdir(parents=True)
    verdict_file(home, "tags-2").write_text(json.dumps(VERDICT))
    write(home.home / "runs" / RUN["run"], summary=RUN)
    write(home.home / "runs" / "20240126T000000-1", summary={**RUN, "versions": {"tags": "tags-3"}})
    write(home.home / "runs" / "20240127T000000-1", nothing={})
    return home


def test_a_lineage_goes_back_to_the_models_whose_scores_are_read(home: Settings) -> None:
    found = lineage(home, home.bundles_dir / "conversion-1", CONVERSION)
    assert found["data"] == {"version": "v7-9-abc", "log_version": 7, "is_there": False, "sources": []}
    assert found["code"] == {"version": "old", "is_this": False}
    assert (found["taxonomy"], found["gate"], found["registry"], found["runs"]) == (None, None, None, [])
    [first] = found["promotions"]
    assert first == {"bundle": "conversion-1", "at": 3, "how": "promoted", "by": "", "before": None, "serves": True}
    [parent] = found["parents"]
    assert (parent["what"], parent["model"]) == ("reads scores of", "tags-2")
    tags = parent["lineage"]
    assert tags["data"]["sources"] == ["test, " + tags["data"]["sources"][0].split(", ")[1]]
    assert tags["data"]["is_there"]
    assert tags["code"]["is_this"]
    assert tags["taxonomy"] == {"name": "small", "version": 3, "tags": 2, "hash": "f00d"}
    assert tags["erased_since"] == 0
    assert (tags["promotions"][0]["by"], tags["promotions"][0]["before"]) == ("ann", "tags-1")
    assert (tags["gate"]["champion"], tags["gate"]["forced"]) == ("tags-1", {"because": "for the test", "at": 8})
    assert [(run["run"], run["data"]) for run in tags["runs"]] == [(RUN["run"], {"PASS": 2, "WARN": 1})]


def test_a_lineage_is_a_tree_of_lines(home: Settings) -> None:
    lines = list(tree(lineage(home, home.bundles_dir / "conversion-1", CONVERSION)))
    assert lines[0] == "conversion-1, as of 2024-01-21 12:35:00"
    assert (
        "  data: v7-9-abc, version 7 of the log, gone since, because people were erased or it was deleted" in lines
    )
    assert "  gate: never compared" in lines
    assert "  promoted: 1970-01-01 00:00:03, the first champion" in lines
    below = lines[lines.index("  reads scores of:") + 1 :]
    assert below[0] == "    tags-2, as of 2024-01-21 12:35:00"
    assert "      taxonomy: small, version 3, 2 tags" in below
    assert "      gate: tags-2 may serve" in below
    assert "        PASS calibration: as good" in below
    assert "      promoted: 1970-01-01 00:00:02 by ann, in place of tags-1" in below


def test_what_is_gone_is_said(home: Settings) -> None:
    (home.bundles_dir / "tags-2").rename(home.bundles_dir / "elsewhere")
    found = lineage(home, home.bundles_dir / "conversion-1", CONVERSION)
    assert found["parents"] == [{"what": "reads scores of", "model": "tags-2", "lineage": None}]
    assert list(tree(found))[-1] == "  reads scores of: tags-2, gone since"
    with pytest.raises(BundleError, match="does not say where it comes from"):
        lineage(home, home.bundles_dir / "tags-2", TAGS)


def test_the_verb_prints_json_or_a_tree(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(home.mlruns))

    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(), ["lineage", *words], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    assert json.loads(run("tags-2", "--json"))["model"] == "tags-2"
    assert run("conversion:champion").splitlines()[0].startswith("conversion-1")
