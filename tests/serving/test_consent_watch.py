from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import StoreError
from features.identity import account_key, load_key
from features.settings import Settings
from serving.consent_watch import ConsentWatch
from serving.schemas import PersonRef
from serving.scorer import Scorer
from tests.serving.conversion_homes import bring_in
from tests.serving.fakes import DAIRY, KEY, LINKED, FakeBundle, filled_store

AS_OF = 1_704_067_200
DAY = 86_400


def word(settings: Settings, folder: Path, *, consent: bool | None, at: int = AS_OF) -> str:
    link = {"platform": "shop", "account": "a", "person": "ann", "valid_from": at, "arrived_at": at}
    bring_in(settings, "identities", [{**link, "consent": consent}], folder)
    return account_key(load_key(settings), "shop", "a")


def until(true: Callable[[], bool]) -> bool:
    for _ in range(200):
        if true():
            return True
        time.sleep(0.05)
    return False


def test_a_withdrawal_is_heeded_while_the_server_runs(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=True)
    watch = ConsentWatch(settings, seconds=0.02)
    gone = watch.watch(lambda: AS_OF)
    with watch:
        assert gone() == frozenset()
        word(settings, tmp_path, consent=False, at=AS_OF + DAY)
        assert until(lambda: account in gone())


def test_without_a_log_nobody_withdrew(tmp_path: Path) -> None:
    watch = ConsentWatch(Settings(home=tmp_path / "home"))
    gone = watch.watch(lambda: AS_OF)
    with watch:
        assert gone() == frozenset()


def test_a_store_that_was_never_filled_holds_up_no_other(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)

    def never() -> int:
        raise StoreError("the store of histories is empty")

    account = word(settings, tmp_path, consent=False, at=AS_OF + DAY)
    watch = ConsentWatch(settings)
    empty, gone = watch.watch(never), watch.watch(lambda: AS_OF)
    with watch:
        assert empty() == frozenset()
        assert account in gone()


def test_a_withdrawal_before_a_first_fill_is_heeded_once_it_is_there(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=False, at=AS_OF + DAY)
    filled: list[int] = []

    def as_of() -> int:
        if not filled:
            raise StoreError("the store of histories is empty")
        return filled[0]

    watch = ConsentWatch(settings, seconds=0.02)
    gone = watch.watch(as_of)
    with watch:
        assert gone() == frozenset()
        filled.append(AS_OF)
        assert until(lambda: account in gone())


def test_a_withdrawal_that_is_dated_ahead_is_heeded_on_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=False, at=AS_OF + DAY)
    clock = [AS_OF + DAY - 1]
    monkeypatch.setattr("serving.consent_watch.time.time", lambda: clock[0])
    watch = ConsentWatch(settings, seconds=0.02)
    gone = watch.watch(lambda: AS_OF)
    with watch:
        assert gone() == frozenset()
        clock[0] += 1
        assert until(lambda: account in gone())


def test_what_was_known_holds_where_the_log_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=False, at=AS_OF + DAY)
    watch = ConsentWatch(settings, seconds=0.02)
    gone = watch.watch(lambda: AS_OF)
    with watch, caplog.at_level(logging.WARNING):
        (settings.log_dir / "log.json").write_text('{"format": 99}')
        (settings.log_dir / "identities" / "_delta_log" / "touched").write_text("")
        assert until(lambda: "could not be read" in caplog.text)
        assert account in gone()
    assert account not in caplog.text


def test_who_withdrew_is_unknown_to_the_tags(tmp_path: Path) -> None:
    gone = set[str]()
    store = filled_store(tmp_path)
    scorer = Scorer(FakeBundle(), store, KEY, lambda: gone)
    people = [PersonRef(person=DAIRY), PersonRef(person=LINKED)]
    assert [answer.status for answer in scorer.tags(people)] == ["known", "known"]
    gone.add(DAIRY)
    assert [answer.status for answer in scorer.tags(people)] == ["unknown", "known"]
    assert scorer.tags(people)[0].tags == []
    store.close()
