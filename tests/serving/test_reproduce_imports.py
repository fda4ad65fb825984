"""Predictions from rows and histories that were renewed after an import come out of the log again, bit by bit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from features.log.event_log import EventLog
from features.settings import Settings
from serving.live.since_import import rebuild_histories, rebuild_rows
from serving.predictions.files import PredictionFiles
from serving.reproduction.reproduce import Code, Reproduced, Reproducer
from tests.serving.asked_homes import Asked, asked_home, move_all
from tests.serving.conversion_homes import bring_in, copied
from tests.serving.live_homes import champion, event
from training.steps import Steps

HOUR = 3_600
WHO = ["u0", "u7", "u9"]
OTHER = "u9"


@dataclass
class Kept:
    home: Settings
    asked: dict[str, dict[str, list[str]]]
    """When → who → ids, of tags and of conversions."""


def imported(home: Settings, folder: Path, first: int, *who: str) -> None:
    at = int(time.time()) - 30 * HOUR
    more = {"note": "n1", "platform": "shop"}
    rows = [
        event(first + n, one, at + n, kind, **more) | {"arrived_at": at + HOUR}
        for n, (one, kind) in enumerate((one, kind) for one in who for kind in ("purchase", "click"))
    ]
    bring_in(home, "events", rows, folder, now=at + 30 * HOUR)


def renewed(home: Settings) -> None:
    steps = Steps(Console(quiet=True))
    assert rebuild_rows(home, champion(home), steps)
    assert rebuild_histories(home, steps)


@pytest.fixture(scope="module")
def kept(small_champions: Settings, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Asked before an import, between it and the renewal, after that, and after a second one."""
    folder = tmp_path_factory.mktemp("imports")
    home = copied(small_champions, folder).model_copy(update={"predictions_share": 1.0})
    made: dict[str, dict[str, list[str]]] = {}

    def ask(asked: Asked, when: str) -> None:
        tags = asked.tags(WHO)
        made[when] = {one: [tags[n], asked.conversions(one)] for n, one in enumerate(WHO)}

    with asked_home(home) as asked:
        asked.send("u0", OTHER)
        ask(asked, "before")
        imported(home, folder, 700_000, "u0", "u7")
        ask(asked, "lacking")
    renewed(home)
    with asked_home(home) as asked:
        ask(asked, "renewed")
    with asked_home(home, first=20) as asked:
        asked.send("u0", "u7", OTHER)
        ask(asked, "live")
    move_all(home)
    imported(home, folder, 710_000, "u7", "u0", "u3")
    renewed(home)
    with asked_home(home) as asked:
        ask(asked, "again")
    return Kept(home, made)


def every(kept: Kept) -> list[str]:
    return [one for people in kept.asked.values() for ids in people.values() for one in ids]


@pytest.fixture(scope="module")
def found(kept: Kept) -> dict[str, Reproduced]:
    return {one.id: one for one in Reproducer(kept.home).again(every(kept))}


def test_all_come_out_the_same(kept: Kept, found: dict[str, Reproduced]) -> None:
    assert [one for one in found.values() if one.code or one.differences] == []
    # They are not all of one row: each renewal changed what is read.
    files = PredictionFiles(kept.home.predictions_dir)
    for kind in (0, 1):
        records = [files.get(kept.asked[when]["u0"][kind]) for when in ("before", "renewed", "live", "again")]
        assert len({one.features_hash for one in records if one is not None}) == 4


def test_it_is_said_which_import_a_row_was_renewed_from(kept: Kept, found: dict[str, Reproduced]) -> None:
    table = EventLog.open(kept.home).log_table("events")
    versions = [one.version for one in table.since(0) if one.said.get("source") == "test"]
    first, second = (f"until version {version} of the events" for version in versions[-2:])
    said = {
        when: [[found[one].notes for one in kept.asked[when][who]] for who in ("u0", OTHER)] for when in kept.asked
    }
    nothing: list[tuple[str, ...]] = [(), ()]
    assert said["before"] == said["lacking"] == [nothing, nothing]
    for when, until in (("renewed", first), ("live", first), ("again", second)):
        mine, others = said[when]
        assert all(until in note for notes in mine for note in notes)
        assert [len(notes) for notes in mine] == [1, 1]
        assert others == nothing


def test_where_the_import_is_gone_that_is_said(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.reproduction.tags.imports_before", lambda *_: [99])
    mine, others = Reproducer(kept.home).again([kept.asked["again"][who][0] for who in ("u0", OTHER)])
    assert (mine.code, others.code) == (Code.GONE, Code.SAME)
    assert "no version" in mine.said
