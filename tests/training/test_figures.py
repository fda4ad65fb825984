from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from training.quality.figures import draw


def line(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1])


def test_a_picture_is_the_same_every_time_and_names_no_software(tmp_path: Path) -> None:
    first, second = (draw(tmp_path / name / "line.png", line, line).read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert b"oftware" not in first
    assert b"atplotlib" not in first


def test_drawings_lie_one_below_the_other_without_a_frame(tmp_path: Path) -> None:
    seen: list[Axes] = []
    draw(tmp_path / "both.png", seen.append, seen.append, label_size=8)
    upper, lower = (axes.get_position() for axes in seen)
    assert upper.y0 > lower.y1
    assert not seen[0].spines["top"].get_visible()
    assert seen[0].yaxis.get_ticklabels()[0].get_fontsize() == 8
