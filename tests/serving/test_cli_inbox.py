from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features.errors import EventLogError
from features.inbox.inbox import Inbox
from serving.cli.inbox import register
from tests.features.live_shop import sent, shop


def _run(*arguments: str) -> list[str]:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    told = CliRunner().invoke(app, ["inbox", *arguments])
    if told.exception is not None:
        raise told.exception
    return told.stdout.splitlines()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path))
    return tmp_path


def test_status_and_move(home: Path) -> None:
    assert _run("status") == ["there is no inbox yet; next: zhongcao serve, then POST /v1/events"]
    till = shop(home)
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(1), sent(2), {"bad": 1}])
        last = inbox.describe().last_seq
    assert _run("status") == [
        "2 events wait for the log, 1 rows for quarantine; 2 ids were seen, by import or live",
        "next: zhongcao inbox move",
    ]
    told = _run("move")
    assert told[:1] == ["moved 2 events into version 0 of the log"]
    (quarantine,) = (home / "quarantine").iterdir()
    assert told[1:] == [
        f"  1 rows are in quarantine {quarantine.stem}",
        f"next: zhongcao quarantine show {quarantine.stem}",
    ]
    assert json.loads(quarantine.read_text().splitlines()[1])["raw"] == '{"bad":1}'
    assert _run("status")[1:] == [f"  reader log: 0 events behind, at {last} of {last}", "next: zhongcao log"]
    assert _run("move") == ["moved 0 events into version 0 of the log", "next: zhongcao log"]


def test_a_reader_is_retired_and_what_was_set_aside_is_told(home: Path) -> None:
    till = shop(home)
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(1), sent(2)])
        first = inbox.last_seq - 1
        inbox.passed("histories", first)
        inbox.set_aside("tags", first, "KeyError")
        inbox.set_aside("log", first, "OverflowError")
        last = inbox.last_seq
    _run("move")
    assert _run("status")[1:] == [
        f"  reader histories: 1 events behind, at {first} of {last}",
        f"  reader log: 0 events behind, at {last} of {last}",
        "  set aside, log could not take them: OverflowError 1",
        "    next, once mended: zhongcao inbox replay",
        "  set aside, tags could not take them: KeyError 1",
        "    next, once mended: zhongcao backfill",
        "next: zhongcao log",
    ]
    with pytest.raises(EventLogError, match="no such reader that could be retired: 'log'; valid: histories"):
        _run("retire", "log")
    assert _run("retire", "histories") == [
        "nothing waits for the reader histories now; 0 events are in the inbox",
        "next, when it is wanted again: zhongcao backfill",
    ]
    assert f"  reader histories: retired, at {last} of {last}" in _run("status")
    # The event is in the log by another way: it is not brought twice.
    assert _run("replay") == [
        "moved 0 events into the log that were set aside; 0 still are",
        "next: zhongcao inbox status",
    ]


def test_there_is_nowhere_to_move_events_to_without_a_log(home: Path) -> None:
    with pytest.raises(EventLogError, match="there is no event log"):
        _run("move")
