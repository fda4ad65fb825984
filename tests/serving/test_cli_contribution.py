from __future__ import annotations

import csv
import io
import json
import re
import stat
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from features.errors import ContributionError
from features.settings import Settings
from features.sources.mapping import load_text
from serving.cli.main import build_app
from tests.features.log_cases import imported
from tests.source_tree import ROOT

DAY = 86_400
START = 1_704_067_200  # 2024-01-01
EVIL = "<script>$alert(1)$</script>"
COLUMNS = ("kind", "t", "user", "note", "creator", "campaign", "brand", "category", "order", "amount", "cost")
MAPPING = """
source = "content"
platform = "content"
time = "epoch_s"
money = "minor"
[columns]
kind = "kind"
event_time = "t"
account = "user"
note = "note"
creator = "creator"
campaign = "campaign"
brand = "brand"
category = "category"
order = "order"
amount = "amount"
cost_micros = "cost"
"""


def event(kind: str, user: str, days: float, note: str = "", **more: Any) -> list[Any]:
    row = {"kind": kind, "t": START + round(days * DAY), "user": user, "note": note, "brand": "Lan 兰", **more}
    return [row.get(name, "") for name in COLUMNS]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("contribution")
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=1)
    rows = []
    for number in range(60):
        user, campaign = f"u{number}", ("spring", EVIL)[number % 2]
        note = f"n-{campaign}"
        named = {"creator": "cc", "campaign": campaign, "category": "serum"}
        rows += [
            event("impression", user, number / 10, note, cost=50_000, **named),
            event("click", user, number / 10 + 0.01, note, **named),
        ]
        if number % 3 == 0:
            bought = {"order": f"o{number}", "amount": 9_900, "category": "serum"}
            rows.append(event("purchase", user, number / 10 + 0.2 * abs(40 - number) + 0.1, **bought))
    rows.append(event("impression", "u0", 9, "x", brand="Other"))
    with (folder / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    imported(settings, folder / "log.csv", load_text(MAPPING, "content.toml"))
    return settings


@pytest.fixture
def run(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (("HOME", home.home), ("MLRUNS", home.mlruns), ("THREADS", 1), ("LEAST_PEOPLE", 1)):
        monkeypatch.setenv(f"ZHONGCAO_{name}", str(value))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(build_app(), ["contribution", *arguments], catch_exceptions=False)

    return call


@pytest.fixture(scope="module")
def report(home: Settings) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HOME", home.home), ("MLRUNS", home.mlruns), ("THREADS", 1), ("LEAST_PEOPLE", 1)):
            patch.setenv(f"ZHONGCAO_{name}", str(value))
        told = CliRunner().invoke(
            build_app(),
            ["contribution", "--brand", "Lan 兰", "--from", "2024-01-01", "--to", "2024-01-04", "--json"],
            catch_exceptions=False,
        )
    found: dict[str, Any] = json.loads(told.stdout)
    return found | {"stderr": told.stderr}


def test_without_a_brand_they_are_listed(run: Any) -> None:
    told = run().stdout
    assert re.search(r"Lan 兰 +│ +2 │ +60 │ +20 ", told)
    assert "next: zhongcao contribution --brand NAME" in told


def test_json_holds_what_was_asked_and_rows_that_add_up(report: dict[str, Any]) -> None:
    asked = {name: report[name] for name in ("brand", "from", "to", "by", "post_click_days", "post_view_days")}
    assert asked == {
        "brand": "Lan 兰", "from": "2024-01-01", "to": "2024-01-04", "by": "click_date", "post_click_days": 15,
        "post_view_days": 1,
    }  # fmt: skip
    rows = {(row["by"], row["key"]): row for row in report["rows"]}
    everything = rows["all", None]
    assert (everything["impressions"], everything["clicks"], everything["cost"]) == (40, 40, 200)
    assert set(report["withheld"].values()) == {0}
    campaigns = [rows["campaign", key] for key in ("spring", EVIL)]
    for rule, credit in everything["credit"].items():
        assert sum(row["credit"][rule]["direct"] for row in campaigns) == credit["direct"] == 14 * 9_900
    assert rows["campaign", "spring"]["incremental"]["value"] is None
    assert rows["note", "n-spring"]["roi"]["value"][-1] == rows["note", "n-spring"]["credit"]["linear"]["direct"]
    assert [day["day"] for day in report["days"]] == [f"2024-01-0{n}" for n in range(1, 5)]


def test_what_is_still_to_come_is_said(report: dict[str, Any]) -> None:
    assert report["still_to_come"] == {
        "share": report["still_to_come"]["share"], "open_clicks": 40, "clicks": 40, "windows_over_on": "2024-01-20",
        "days": 10,
    }  # fmt: skip
    assert 0 < report["still_to_come"]["share"] < 1
    assert re.search(
        r"still to come: the windows are over on 2024-01-20, in 10 days; about \d+ %", report["stderr"]
    )


def test_every_key_of_a_row_is_documented(report: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "contribution.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)`", text))
    assert {*report, *report["rows"][0], *report["totals"], *report["still_to_come"]} - {"stderr", "rows"} <= said


def test_the_page_escapes_names_and_loads_nothing(report: dict[str, Any], home: Settings) -> None:
    page = home.report_file.with_name("contribution.html")
    assert report["stderr"].endswith(f"wrote {page}\n")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    loads = re.findall(r"(?:src|href)=\"([^\"]{0,22})", text)
    assert len(loads) == 3
    assert set(loads) == {"data:image/png;base64,"}
    assert "进店成本" in text


def test_csv_has_one_line_per_row(run: Any, report: dict[str, Any]) -> None:
    told = run("--brand", "Lan 兰", "--from", "2024-01-01", "--to", "2024-01-04", "--csv")
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [(row["by"], row["key"] or None) for row in rows] == [(row["by"], row["key"]) for row in report["rows"]]
    for flat, full in zip(rows, report["rows"], strict=True):
        assert int(flat["shapley_direct"]) == full["credit"]["shapley"]["direct"]
        assert flat["incremental_reason"] == full["incremental"]["reason"]


def test_a_table_is_printed_for_people(run: Any) -> None:
    told = run("--brand", "Lan 兰", "--to", "2024-01-06", "--by", "order_date")
    assert re.search(r"everything +60 +3 +792 +792 +792 +– +660.00", told.stdout)


def test_rows_of_few_people_are_withheld_everywhere(
    run: Any, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHONGCAO_LEAST_PEOPLE", "50")
    told = run("--brand", "Lan 兰", "--from", "2024-01-01", "--to", "2024-01-06", "--json")
    found = json.loads(told.stdout)
    # 60 people in all, so both campaigns of 30 and all days of 10 are withheld; the one creator is of all 60.
    assert [(row["by"], row["reached"]) for row in found["rows"]] == [("all", 60), ("creator", 60)]
    assert found["days"] == []
    assert found["withheld"] == {"campaign": 2, "creator": 0, "note": 2, "day": 6}
    assert "setting least_people): 2 of campaign, 2 of note, 6 of day" in told.stderr
    page = home.report_file.with_name("contribution.html").read_text(encoding="utf-8")
    assert "under 50 people (setting least_people)" in page
    assert "n-spring" not in page
    with pytest.raises(ContributionError, match=r"too few people were reached.* lower the setting least_people"):
        run("--brand", "Lan 兰", "--from", "2024-01-01", "--to", "2024-01-04")


def test_mistakes_are_named(run: Any) -> None:
    with pytest.raises(
        ContributionError, match="no such brand: 'Lan'; valid: Lan 兰; zhongcao contribution without"
    ):
        run("--brand", "Lan")
    with pytest.raises(ContributionError, match="a report is printed once"):
        run("--brand", "Lan 兰", "--json", "--csv")
    with pytest.raises(ContributionError, match="no day lies in the period"):
        run("--brand", "Lan 兰", "--from", "2024-01-04", "--to", "2024-01-02")
