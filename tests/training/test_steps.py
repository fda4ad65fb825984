from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from features.progress import progress
from training.steps import Steps


def _told(*, terminal: bool) -> str:
    written = StringIO()
    steps = Steps(Console(file=written, force_terminal=terminal, force_interactive=terminal, width=60))
    with steps.step("counting", 2) as advance:
        advance()
        advance()
    steps.reused("binning")
    return written.getvalue()


def test_where_nobody_watches_each_step_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 5.0)
    expected = "counting: done in 0.0 s\nbinning: reused, nothing it depends on has changed\n"
    assert _told(terminal=False) == expected


def test_a_terminal_shows_a_bar() -> None:
    told = _told(terminal=True)
    assert "2/2" in told
    assert "\x1b[" in told


def test_bars_of_imports_leave_no_line_in_logs() -> None:
    written = StringIO()
    with progress(Console(file=written, force_terminal=False)) as bar:
        bar.advance(bar.add_task("reading", total=1))
    assert written.getvalue() == ""
