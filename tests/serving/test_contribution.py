from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.jobs.contribution_source import period_of
from serving.pages.contribution_document import csv_of, document_of, said_to_come
from serving.pages.contribution_page import write_contribution
from serving.pages.contribution_plots import draw_contribution
from tests.training.contribution.small_notes import Row, event
from tests.training.contribution.test_report import buys, report_of

ONLY_CLICKS = [event("click", "a", 1, note="unknown", brand="B"), buys("a", 2, 500, "o")]


@pytest.mark.parametrize(
    ("events", "drawn"),
    [([], []), ([buys("a", 1, 500, "o")], []), (ONLY_CLICKS, ["credit_by_rule.png", "paths.png"])],
    ids=["nothing", "only an order", "no cost"],
)
def test_a_brand_of_which_little_is_known_has_a_report(tmp_path: Path, events: list[Row], drawn: list[str]) -> None:
    report = report_of(events)
    plots = draw_contribution(report, tmp_path)
    assert [plot.name for plot in plots] == drawn
    write_contribution(tmp_path / "page.html", report=report, plots=plots, commands=[])
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("data:image") == len(drawn)
    document = json.loads(json.dumps(document_of(report), allow_nan=False))
    assert document["rows"][0]["click_rate"] is None
    assert csv_of(report).splitlines()[1].startswith("all,,0,0,")
    assert said_to_come(report) == ""


def test_a_period_is_whole_days_of_the_logs_zone() -> None:
    noon = 1_714_550_400  # 2024-05-01 08:00 UTC, 16:00 in Shanghai
    start, end = period_of(None, None, noon, "Asia/Shanghai")
    assert (end - start, end) == (30 * 86_400, 1_714_579_200)
    assert period_of("2024-05-01T17:00", "2024-05-01", noon, "Asia/Shanghai") == (1_714_492_800, 1_714_579_200)
