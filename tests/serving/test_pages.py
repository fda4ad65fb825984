from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from serving.pages.evaluation_page import write_evaluation
from serving.pages.report import PersonCard, TagLine, write_report
from serving.pages.study_page import write_study
from tests.training.small_log import small_taxonomy
from training.quality.bootstrap import Difference
from training.quality.metrics import macro_metrics, tag_metrics
from training.study.refits import Refit
from training.study.study import Addition, Study
from training.tags.evaluation import Evaluation, reliability
from training.tags.plots import draw_evaluation
from training.tags.slices import Slice
from training.tags.stability import compare_assignments

EVIL = "<script>alert(1)</script>"
TAXONOMY = small_taxonomy()
IDS = ("tea.will-buy", "shoes.heavy")


def evaluation() -> Evaluation:
    """The first tag is learned well, the second says the opposite of what came true; both are assigned."""
    truth = (np.arange(40) % 4 == 0).astype(np.uint8)
    labels = np.column_stack([truth, truth])
    probabilities = np.column_stack([0.1 + 0.8 * truth, 0.9 - 0.8 * truth])
    persons = [f"p{n:02}" for n in range(40)]
    return Evaluation(
        instant=0,
        people=40,
        macro={"zhongcao": macro_metrics(labels, probabilities)},
        per_tag={tag: tag_metrics(labels[:, n], probabilities[:, n]) for n, tag in enumerate(IDS)},
        count_per_tag=dict.fromkeys(IDS, 0.5),
        reliability=reliability(labels, probabilities),
        assigned={"tea.will-buy": 0.25, "shoes.heavy": 0.75},
        slices=[Slice("platform", EVIL, 7, macro_metrics(labels[:7], probabilities[:7]))],
        stability=compare_assignments(
            (persons, probabilities), (persons, probabilities[::-1]), np.array([0.5, 0.5]), IDS
        ),
    )


class Page(HTMLParser):
    """Counts tags and collects everything that a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attributes if name in {"src", "href", "srcset"}]


def written(folder: Path) -> str:
    path = folder / "evaluation.html"
    write_evaluation(
        path,
        facts=[EVIL],
        window=EVIL,
        evaluation=evaluation(),
        taxonomy=TAXONOMY,
        too_rare=[EVIL],
        plots=draw_evaluation(evaluation(), TAXONOMY, folder),
        commands=[EVIL],
    )
    return path.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_outside_and_everything_is_escaped(tmp_path: Path) -> None:
    text = written(tmp_path)
    page = Page(text)
    assert len(page.loads) == 4
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert page.tags.count("script") == 1
    assert EVIL not in text
    assert text.count("&lt;script&gt;") == 5


def test_a_tag_that_is_worse_than_its_base_rate_is_marked(tmp_path: Path) -> None:
    assert evaluation().worse_than_base_rate == ["shoes.heavy"]
    text = written(tmp_path)
    assert "⚠ 1 assigned tag was no better than the base rate on this window: Shoes: heavy." in text
    rows = {found[1]: found[0] for found in re.findall(r"(<tr><td data-v=\"([^\"]+)\">.*?</tr>)", text, re.DOTALL)}
    assert "⚠" in rows["Shoes: heavy"]
    assert "⚠" not in rows["Tea: will buy"]


def test_figures_are_those_of_the_evaluation(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert "7 days apart, 20 of 40 people get or lose at least one tag" in text
    row = re.search(r"<td data-v=\"Tea: will buy\">.*?</tr>", text, re.DOTALL)
    assert row is not None
    cells = re.findall(r"data-v=\"([^\"]*)\">([^<]*)<", row[0].partition("</td>")[2])
    assert cells[:3] == [("0.25", "25.0 %"), ("1", "1.000"), ("1", "1.000")]
    assert [text for _, text in cells[-3:]] == ["25.0 %", "0.0 %", "50.0 %"]


def test_a_report_shows_people_and_the_same_quality(tmp_path: Path) -> None:
    line = TagLine(EVIL, "茶", 0.5, 2.0, [EVIL])
    path = tmp_path / "report.html"
    write_report(
        path,
        facts=["a model"],
        window="1 May to 15 May",
        evaluation=evaluation(),
        taxonomy=TAXONOMY,
        too_rare=[],
        plots=[],
        people=[PersonCard("abcd…", [line])],
        commands=["zhongcao serve"],
    )
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "50 % ×2.0" in text
    assert "no better than the base rate" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_study_colours_what_is_better_or_worse_beyond_chance(tmp_path: Path) -> None:
    metrics = evaluation().macro["zhongcao"]
    differences = {
        "macro_auc": Difference(-0.02, -0.03, -0.01),
        "macro_ap": Difference(0.01, -0.01, 0.03),
        "log_loss": Difference(-0.005, -0.007, -0.003),
    }
    refits = [Refit("everything", 9, 3, 60, metrics, {}), Refit(EVIL, 9, 3, 50, metrics, differences)]
    window = evaluation()
    window.macro["history_count"] = metrics
    path = tmp_path / "study.html"
    write_study(
        path,
        study=Study([window], [Addition("history count", metrics, {})], refits, [], []),
        timezone="UTC",
        facts=["as of a day"],
        plots=[],
        commands=[],
    )
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<td>1970-01-01</td>" in text
    assert '<span class="worse">-0.0200</span>' in text
    assert '<span class="">+0.0100</span>' in text
    assert '<span class="fine">-0.0050</span>' in text
    assert "With fewer people" not in text
