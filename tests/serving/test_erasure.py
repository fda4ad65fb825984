from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import features.erasure.erasures
from features.erasure.erasures import ask, carry_out, erased_since, receipt, receipts, unfinished
from features.erasure.person_keys import PersonKeys, person_keys
from features.errors import EventLogError, InboxError, RightsError
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.locks import exclusive
from features.log.event_log import EventLog
from features.people.identity import load_key
from features.rights.file import rights_path, writing
from features.rights.ledger import Rights
from features.rights.tombstones import tombstone
from features.settings import Settings
from serving.rights.erasure import erase_person, finish, places_of
from tests.features.log_cases import rows
from tests.serving.canaries import CANARY, NAMED, SECOND, T, found, full_home, import_all, keys, live, reader, send


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    full_home(folder)
    return folder


@pytest.fixture
def settings(planted: Path, tmp_path: Path) -> Settings:
    """A copy of the home whose outputs lie beside it, too."""
    folder = tmp_path / "copy"
    shutil.copytree(planted, folder)
    shutil.rmtree(folder / "outside")
    copied = Settings(home=folder / "home", mlruns=folder / "home" / "mlruns", threads=1)
    with writing(rights_path(copied)) as connection:
        connection.execute("UPDATE output SET path = replace(path, ?, ?)", (str(planted), str(folder)))
    return copied


def needles(settings: Settings) -> list[str]:
    person, accounts = keys(settings)
    return [CANARY, SECOND, NAMED, person, *accounts]


def test_the_canaries_are_where_they_were_planted(settings: Settings) -> None:
    places = found(settings.home.parent, needles(settings))
    for part in (
        "log/events", "log/identities", "log/people", "log/assignments", "inbox.sqlite", "quarantine/", "online",
        "histories", "predictions/", "seeds/", "added/", "work/windows", "scores/part", "ranking.csv",
    ):  # fmt: skip
        assert any(part in place for place in places), part


@pytest.mark.parametrize("by", ["person", "first account", "second account"])
def test_an_erased_person_is_found_nowhere(settings: Settings, by: str) -> None:
    person, accounts = keys(settings)
    before = {name: len(rows(settings, table=name)) for name in ("events", "identities", "people", "assignments")}
    erase_person(settings, {"person": person, "first account": accounts[0]}.get(by, accounts[1]))
    (done,) = finish(settings)
    assert found(settings.home.parent, needles(settings)) == []
    assert {place.place: place.removed for place in done.places} == {
        "inbox": 14,
        "event log: events": 6,
        "event log: people": 1,
        "event log: identities": 2,
        "event log: assignments": 1,
        "quarantine": 3,
        "online store": 3,
        "store of histories": 3,
        "columns of added tags": 1,
        "seed lists": 1,
        "prediction log": 2,
        "shadow": 2,
        "versions of memberships": 1,
        "batch outputs": 6,
        "caches of jobs": 1,
        "reports": 1,
        "marks on models": 0,
        "inbox, once more": 0,
    }
    assert (done.accounts, done.person) == (2, tombstone(load_key(settings), person))
    after = {name: len(rows(settings, table=name)) for name in before}
    assert after == {"events": before["events"] - 6, "identities": 1, "people": 1, "assignments": 1}
    assert (settings.home / "study.html").exists()


def test_nothing_of_an_erased_person_comes_back(settings: Settings, tmp_path: Path) -> None:
    erase_person(settings, keys(settings)[0])
    finish(settings)
    before = rows(settings)
    outside = tmp_path / "again"
    outside.mkdir()
    summaries = import_all(settings, outside)
    assert [summary.erased for summary in summaries] == [5, 1, 1, 1, 1]
    assert [summary.accepted for summary in summaries] == [0, 0, 0, 0, 0]
    first = summaries[0]
    assert first.read == first.duplicates + first.quarantined + first.skipped + first.erased
    log = EventLog.open(settings)
    with Inbox(log) as inbox:
        said = send(inbox, log, 200)
        assert said == ["refused", "refused", "duplicate", "refused", "quarantined", "refused"]
        move(inbox, log)
    assert len(rows(settings)) == len(before) + 1  # bob's, which waited in the inbox
    assert found(settings.home.parent, needles(settings)) == []


def test_what_others_did_is_taken_as_before(settings: Settings) -> None:
    erase_person(settings, keys(settings)[0])
    finish(settings)
    log = EventLog.open(settings)
    with Inbox(log) as inbox:
        assert send(inbox, log, 300) == ["refused", "refused", "accepted", "refused", "quarantined", "refused"]
    with pytest.raises(EventLogError, match="is gone, since people were erased"):
        log.log_table("events").files(0)


def test_models_are_marked_and_stay_as_they_are(settings: Settings) -> None:
    erase_person(settings, keys(settings)[0])
    assert erased_since(settings, "tags-before") == 0
    finish(settings)
    assert (erased_since(settings, "tags-before"), erased_since(settings, "tags-after")) == (1, 0)
    erase_person(settings, keys(settings)[1][0])
    finish(settings)
    assert erased_since(settings, "tags-before") == 1  # the same person
    assert list((settings.bundles_dir / "tags-before").iterdir()) == []


def test_scores_of_others_stay_as_they_were_written(settings: Settings) -> None:
    out = settings.home.parent / "scores"
    before = json.loads((out / "_manifest.json").read_text())
    erase_person(settings, keys(settings)[0])
    finish(settings)
    after = json.loads((out / "_manifest.json").read_text())
    assert (after["people"], after["scores"]) == (before["people"] - 1, before["scores"] - 2)
    assert after["run"] == before["run"]
    assert after["parts"][0]["files"] != before["parts"][0]["files"]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(("at", "when"), [(0, "after"), (1, "after"), (6, "before"), (11, "after")])
def test_an_erasure_that_is_cut_off_is_finished(
    settings: Settings, at: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = erase_person(settings, keys(settings)[0])
    places = places_of(settings, erasure)
    place = places[at]
    erase = place.erase

    def cut_off(persons: list[str], accounts: list[str]) -> int:
        if when == "after":
            erase(persons, accounts)
        raise Killed

    monkeypatch.setattr(place, "erase", cut_off)
    with pytest.raises(Killed):
        carry_out(settings, erasure, places)
    assert unfinished(settings) == [erasure]
    assert erase_person(settings, keys(settings)[1][0]) == erasure
    (done,) = finish(settings)
    assert found(settings.home.parent, needles(settings)) == []
    assert [one.cut_off for one in done.places] == [number == at for number in range(len(places))]
    assert (unfinished(settings), finish(settings), receipts(settings)) == ([], [], [done])


def test_an_erasure_ends_only_once_the_file_of_rights_was_written_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_for_too_long(path: Path) -> None:
        raise RightsError(f"{path.name} is read")

    erasure = erase_person(settings, keys(settings)[0])
    with monkeypatch.context() as patched:
        patched.setattr(features.erasure.erasures, "rewrite", read_for_too_long)
        with pytest.raises(RightsError, match=r"rights\.sqlite is read"):
            carry_out(settings, erasure, [])
    assert unfinished(settings) == [erasure]
    assert receipt(settings, erasure).finished_at is None
    done = carry_out(settings, erasure, [])
    assert done.finished_at is not None
    assert unfinished(settings) == []
    assert carry_out(settings, erasure, []) == done


def test_whoever_is_being_erased_is_refused_at_once(settings: Settings) -> None:
    rights = Rights(settings)
    person, accounts = keys(settings)
    erase_person(settings, accounts[0])
    assert rights.refused() == {person, *accounts}
    with (
        exclusive(settings.work_dir / "retrain.lock"),
        pytest.raises(RightsError, match=r"a retraining is under way; the erasure counts already"),
    ):
        finish(settings)
    finish(settings)
    rights.close()


def test_an_event_on_its_way_while_its_person_is_erased_is_not_kept(settings: Settings) -> None:
    log = EventLog.open(settings)
    _, accounts = keys(settings)
    said = [live(900, CANARY), live(900, "bob")]
    with Inbox(log) as inbox:
        read = reader(log)
        on_its_way = read.read(said, "till", texts=[*map(json.dumps, said)])
        erase_person(settings, accounts[0])
        with pytest.raises(InboxError, match="erased while their event was on its way") as refused:
            inbox.accept(on_its_way)
        assert refused.value.retry_after == 1
        again = inbox.accept(read.read(said, "till", texts=[*map(json.dumps, said)]))
    assert [verdict.outcome for verdict in again] == ["refused", "accepted"]
    finish(settings)
    assert found(settings.home, needles(settings)) == []


def test_somebody_nobody_knows_can_be_erased(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    assert person_keys(settings, "a" * 32) == PersonKeys("a" * 32, ("a" * 32,))
    erasure = ask(settings, person_keys(settings, "a" * 32))
    finish(settings)
    assert {place.removed for place in receipt(settings, erasure).places} == {0}
    with pytest.raises(RightsError, match="no erasure has this id"):
        receipt(settings, "none")


def test_times_of_a_receipt(settings: Settings) -> None:
    erasure = erase_person(settings, keys(settings)[0])
    asked = receipt(settings, erasure)
    assert (asked.finished_at, asked.places) == (None, ())
    (done,) = finish(settings)
    assert (done.finished_at or 0) >= asked.asked_at > T
