from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.loop import compared, lived
from bench.loop_plot import draw
from bench.loop_run import POLICIES


def weeks(caused: float, clicks: float) -> dict[str, list[float]]:
    return {
        "caused": [caused] * 12,
        "spent": [2.0] * 12, "impression": [100.0] * 12, "click": [clicks] * 12, "engaged": [clicks] * 12,
        "hide": [1.0] * 12, "impression beauty": [50.0] * 12, "store_visit beauty": [caused] * 12,
    }  # fmt: skip


def test_figures_are_those_of_the_weeks() -> None:
    caused = {"broad": 2, "rule": 3, "frozen": 3, "retrained": 4, "observable oracle": 5, "oracle": 6}
    worlds = [{policy: weeks(number * size, 5 + number) for policy, number in caused.items()} for size in (1, 3)]
    found = compared(worlds)
    assert (found["retrained_vs_broad"], found["hides_vs_broad"]) == (1, 0)
    assert found["share_of_observable_oracle"] == pytest.approx(2 / 3)
    assert found["differences"]["retrained over rule"] == pytest.approx(
        {"lift": 1 / 3, "low": 1 / 3, "high": 1 / 3}
    )
    assert found["policies"]["broad"]["caused_per_1000"] == 2000
    assert found["click_rate_lift"] == pytest.approx(9 / 7 - 1)
    assert found["store_entry_lift"] == {"beauty": 1.0}
    few = compared([worlds[0], {name: lived for name, lived in worlds[1].items() if "oracle" not in name}])
    assert (few["worlds_with_oracles"], few["policies"]["oracle"]["worlds"]) == (1, 1)
    assert few["share_of_oracle"] == pytest.approx(1 / 2)
    assert few["retrained_vs_broad"] == 1
    one = compared(worlds[:1])["differences"]["retrained over broad"]
    assert one["lift"] == 1
    assert math.isnan(one["low"])


def test_a_short_life_under_rules_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.loop.POLICIES", ("broad", "rule", "oracle"))
    found = lived(1, 150, 1, 1, tmp_path)
    assert {len(week) for week in found["broad"].values()} == {1}
    for policy in ("rule", "oracle"):
        assert found[policy]["spent"] == pytest.approx(found["broad"]["spent"], rel=0.25)
    assert found["oracle"] != found["rule"]
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr("bench.loop.Lived", None)
    assert lived(1, 150, 1, 1, tmp_path) == found
    assert "retrained" in POLICIES


def test_the_weeks_are_drawn(tmp_path: Path) -> None:
    worlds = [
        {name: weeks(caused, 5) for name, caused in {"broad": 2, "rule": 3, "frozen": 3, "retrained": size}.items()}
        for size in (4, 5)
    ]
    draw(worlds, tmp_path / "loop.png")
    assert (tmp_path / "loop.png").read_bytes().startswith(b"\x89PNG")
