from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from features.errors import SettingsError, SourceError
from features.world.marginals import FIGURES, marginals_of
from features.world.published import PUBLISHED
from serving.cli.data import register as register_data
from serving.cli.world import register
from serving.pages.world_page import rows_of

SIZE = ("--people", "120", "--days", "4", "--campaigns", "2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ZHONGCAO_HOME", "ZHONGCAO_TIMEZONE", "ZHONGCAO_CURRENCY", "ZHONGCAO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _run(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    register_data(app)
    return CliRunner().invoke(app, arguments)


def test_make_show_and_import(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _run("world", "make", *SIZE, "--out", "w")
    assert told.exit_code == 0, told.output
    assert "events of 120 people on 4 days\n" in told.stdout
    assert told.stdout.endswith("next: zhongcao world show w, or zhongcao import world w\n")
    assert "4 of 4 days were there already" in _run("world", "make", *SIZE, "--out", "w").stdout

    shown = _run("world", "show", "w")
    assert shown.exit_code == 0, shown.output
    page = (folder / "w" / "world.html").read_text()
    assert all(meaning in page for meaning in FIGURES.values())
    assert page.count("data:image/png") == 4
    assert "campaign-001" in page

    brought = _run("import", "world", "w")
    assert brought.exit_code == 0, brought.output
    events = json.loads((folder / "w" / "world.json").read_text())["events"]
    assert f"events: read {events:,}, accepted {events:,}, duplicates 0, quarantined 0" in brought.stdout
    assert brought.stdout.endswith("zhongcao retrain --taxonomy w/taxonomy.toml --as-of 2024-04-05\n")
    assert f"events: read {events:,}, accepted 0, duplicates {events:,}" in _run("import", "world", "w").stdout
    # Four days from midnight UTC end on the evening before in New York: the last whole day there is another.
    monkeypatch.setenv("ZHONGCAO_HOME", str(folder / "elsewhere"))
    monkeypatch.setenv("ZHONGCAO_TIMEZONE", "America/New_York")
    assert _run("import", "world", "w").stdout.endswith("--as-of 2024-04-04\n")


def test_what_cannot_be_done_is_said(folder: Path) -> None:
    missing = _run("import", "world", "nowhere")
    assert isinstance(missing.exception, SourceError)
    assert "no world there: 'nowhere'" in str(missing.exception)
    unnamed = _run("import", "world")
    assert "name the world's folder" in str(unnamed.exception)
    too_many = _run("world", "make", "--campaigns", "1", "--no-effect", "2", "--out", "w")
    assert isinstance(too_many.exception, SettingsError)
    assert "no_effect of a world is out of range: 2; valid: 0 to 1" in str(too_many.exception)
    assert not (folder / "w").exists()


def test_marginals_of_a_tiny_log(folder: Path) -> None:
    day, hour = 86_400, 3_600
    rows = [
        # kind, time, account, note, campaign, brand, amount, dwell
        ("impression", 0, "a", "n", "c", "b", None, None),
        ("impression", 1, "a", "n", "c", "b", None, None),
        ("impression", 2, "z", "o", None, None, None, None),
        ("click", 3, "a", "n", "c", "b", None, None),
        ("read", 9, "a", "n", "c", "b", None, 6_000),
        ("link_click", 10, "a", "n", "c", "b", None, None),
        ("store_visit", 20, "s", "n", "c", "b", None, None),
        ("item_view", 21, "s", "n", "c", "b", None, None),
        ("item_view", 22, "s", None, None, "b", None, None),
        ("purchase", 20 + 2 * hour, "s", "n", "c", "b", 300, None),
        ("purchase", 20 + 3 * day, "t", None, None, "b", 100, None),
        ("refund", 20 + 4 * day, "t", None, None, "b", 100, None),
    ]
    names = ("kind", "event_time", "account", "note", "campaign", "brand", "amount", "dwell_ms")
    events = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    events = events.append_column("day", pa.array(np.array(events["event_time"]) // day, pa.int32()))
    events = events.append_column("platform", pa.array(["p"] * len(rows)))
    events = events.append_column("read_percent", pa.nulls(len(rows), pa.float64()))
    pq.write_table(events, folder / "events.parquet")
    people = {"platform": ["p"] * 4, "account": ["a", "z", "s", "t"], "person": ["1", "2", "1", "1"]}
    pq.write_table(pa.table(people), folder / "identities.parquet")
    pq.write_table(pa.table({"note": ["n", "o"]}), folder / "notes.parquet")

    found = marginals_of(folder)
    expected = {
        "ad_share": 2 / 3, "ad_ctr": 0.5, "organic_ctr": 0.0, "deep_per_click": 1.0, "jump_per_click": 1.0,
        "visit_per_jump": 1.0, "purchase_per_visit": 1.0, "purchase_per_ad": 0.5, "purchase_per_view": 1.0,
        "bought_within_hour": 0.0, "bought_within_day": 1.0, "returned": 0.25, "views": 1.5,
        "gap_median": (3 * day - 2 * hour) / day,
    }  # fmt: skip
    assert {name: found.figures[name] for name in expected} == pytest.approx(expected)
    assert found.gaps[2] == found.gaps.sum() == 1


def test_published_figures_belong_to_a_marginal(folder: Path) -> None:
    assert {figure.figure for figure in PUBLISHED} <= set(FIGURES)
    _run("world", "make", *SIZE, "--out", "w")
    rows = {row["name"]: row["published"] for row in rows_of(marginals_of(Path("w")))}
    assert [value for value, _ in rows[FIGURES["cart_per_view"]]] == ["6.2 %", "2.6 %"]
