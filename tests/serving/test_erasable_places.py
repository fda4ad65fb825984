"""What every place keeps to, whatever it holds: later places join by their name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from features.erasure.erasable import ErasablePlace
from features.errors import RightsError
from features.inbox.inbox import Inbox
from features.log.delta_table import LogTable
from features.log.event_log import EventLog
from features.rights.file import rights_path, writing
from features.settings import Settings
from serving.rights.erasure import places_of
from tests.serving.canaries import CANARY, NAMED, SECOND, found, full_home, keys

PLACES = {
    "inbox": ["home/inbox.sqlite"],
    "event log: events": ["home/log/events"],
    "event log: people": ["home/log/people"],
    "event log: identities": ["home/log/identities"],
    "event log: assignments": ["home/log/assignments"],
    "quarantine": ["home/quarantine"],
    "online store": ["home/online.sqlite"],
    "store of histories": ["home/histories.sqlite"],
    "columns of added tags": ["home/added"],
    "seed lists": ["home/seeds"],
    "prediction log": ["home/predictions"],
    "shadow": ["home/shadow"],
    "versions of memberships": ["home/memberships"],
    "batch outputs": ["scores", "ranking.csv", "members"],
    "caches of jobs": ["home/work/windows"],
    "reports": ["home/report.html"],
}
"""Name → where it keeps what it holds."""

OF_NOBODY = {"marks on models", "inbox, once more"}
NOBODY = ["0" * 32], ["f" * 32]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    full_home(folder)
    return folder


@pytest.fixture
def settings(planted: Path, tmp_path: Path) -> Settings:
    """A copy of the home and of what was written beside it."""
    folder = tmp_path / "copy"
    shutil.copytree(planted, folder, ignore=shutil.ignore_patterns("outside"))
    copied = Settings(home=folder / "home", mlruns=folder / "home" / "mlruns", threads=1)
    with writing(rights_path(copied)) as connection:
        connection.execute("UPDATE output SET path = replace(path, ?, ?)", (str(planted), str(folder)))
    return copied


def place(settings: Settings, name: str) -> ErasablePlace:
    with writing(rights_path(settings)) as connection:
        connection.executemany("INSERT OR IGNORE INTO platform VALUES (?)", [("shop",), ("red",)])
    return next(one for one in places_of(settings, "e1") if one.name == name)


def left(settings: Settings, name: str, needles: Sequence[str]) -> list[str]:
    hits = found(settings.home.parent, needles)
    return [hit for hit in hits if any(hit.startswith(part) for part in PLACES[name])]


def test_every_place_is_looked_at(settings: Settings) -> None:
    assert {one.name for one in places_of(settings, "e1")} == set(PLACES) | OF_NOBODY


@pytest.mark.parametrize("name", PLACES)
def test_a_place_erases_for_good_and_once(settings: Settings, name: str) -> None:
    person, accounts = keys(settings)
    needles = [CANARY, SECOND, NAMED, person, *accounts, f"{person[:8]}…"]
    assert left(settings, name, needles) != []
    one = place(settings, name)
    assert one.erase([person], accounts) > 0
    assert left(settings, name, needles) == []
    assert one.erase([person], accounts) == 0


@pytest.mark.parametrize("name", sorted(set(PLACES) - {"caches of jobs"}))
def test_a_place_leaves_others_alone(settings: Settings, name: str) -> None:
    one = place(settings, name)
    person, accounts = keys(settings)
    needles = [CANARY, SECOND, person, person[:8], *accounts]
    before = left(settings, name, needles)
    assert one.erase(*NOBODY) == 0
    assert left(settings, name, needles) == before != []


def test_a_log_that_was_cut_off_before_its_old_versions_were_deleted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, accounts = keys(settings)
    one = place(settings, "event log: events")
    with monkeypatch.context() as patched:
        patched.setattr(LogTable, "vacuum", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            one.erase([person], accounts)
    assert left(settings, one.name, accounts) != []
    assert one.erase([person], accounts) == 0
    assert left(settings, one.name, accounts) == []


def test_a_log_that_was_cut_off_before_the_commit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    person, accounts = keys(settings)
    one = place(settings, "event log: events")
    with monkeypatch.context() as patched:
        patched.setattr(LogTable, "commit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            one.erase([person], accounts)
    assert one.erase([person], accounts) == 6
    log = EventLog.open(settings)
    parts = {part.name for part in (settings.log_dir / "events").glob("*.parquet")}
    assert parts == {Path(file).name for file in log.log_table("events").files()}


def test_an_open_inbox_does_not_read_the_log_again(settings: Settings) -> None:
    person, accounts = keys(settings)
    log = EventLog.open(settings)
    with Inbox(log) as inbox:
        inbox.read_log_ids()
        before = inbox.describe()
        removed = place(settings, "inbox").erase([person], accounts)
        place(settings, "event log: events").erase([person], accounts)
        inbox.read_log_ids()
        after = inbox.describe()
    assert (before.waiting - after.waiting, before.refused - after.refused) == (2, 2)
    # Two waited, and two lay aside.
    assert removed == before.seen - after.seen + 2 + 2 + before.refused - after.refused


def test_a_file_that_somebody_writes_is_erased_from_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.rights.erase_stores._WAIT_SECONDS", 0.0)
    person, accounts = keys(settings)
    writer = sqlite3.connect(settings.store_file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(RightsError, match="online store cannot be written now"):
        place(settings, "online store").erase([person], accounts)
    writer.close()
    assert place(settings, "online store").erase([person], accounts) == 3
