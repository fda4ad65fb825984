from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import StoreError
from features.people.identity import account_key, load_key, person_key
from features.rights.ledger import delete_tag, opt_in, opt_out
from features.settings import Settings
from serving.consent.watch import ConsentWatch
from serving.messages.schemas import AccountRef, PersonRef
from serving.scoring.scorer import Scorer
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
    monkeypatch.setattr("serving.consent.watch.time.time", lambda: clock[0])
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


def test_an_opt_out_is_heeded_by_the_next_request(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=True)
    store = filled_store(tmp_path)
    gone = ConsentWatch(settings).watch(lambda: AS_OF)
    scorer = Scorer(FakeBundle(), store, KEY, gone)
    asked = [PersonRef(person=DAIRY), AccountRef(platform="shop", account="one")]
    assert [answer.status for answer in scorer.tags(asked)] == ["known", "known"]
    opt_out(settings, [DAIRY, account_key(KEY, "shop", "one")])
    assert [answer.status for answer in scorer.tags(asked)] == ["unknown", "unknown"]
    assert gone() | {"x"} >= {DAIRY, "x"}
    assert (len(gone()), account in gone()) == (2, False)
    opt_in(settings, [DAIRY])
    assert [answer.status for answer in scorer.tags(asked)] == ["known", "unknown"]
    store.close()


def test_whose_account_it_is_later_opted_out_too(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    account = word(settings, tmp_path, consent=True)
    person = person_key(load_key(settings), "ann")
    watch = ConsentWatch(settings, seconds=0.02)
    gone = watch.watch(lambda: AS_OF)
    with watch:
        opt_out(settings, [person])
        delete_tag(settings, [person], "dairy.will-buy")
        assert until(lambda: account in gone() and account in gone.deleted_tags())
    assert gone.deleted_tags() == {key: {"dairy.will-buy"} for key in (person, account)}


def test_a_deleted_tag_is_not_inferred(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", threads=1)
    store = filled_store(tmp_path)
    gone = ConsentWatch(settings).watch(lambda: AS_OF)
    scorer = Scorer(FakeBundle(), store, KEY, gone, gone.deleted_tags)
    asked = [PersonRef(person=DAIRY), AccountRef(platform="shop", account="one")]
    delete_tag(settings, [DAIRY], "dairy.will-buy")
    delete_tag(settings, [DAIRY], "gone.since-long")
    delete_tag(settings, [account_key(KEY, "shop", "one")], "bread.will-buy")
    tags = [[tag.id for tag in answer.tags] for answer in scorer.tags(asked)]
    assert tags == [["bread.will-buy"], ["dairy.will-buy"]]
    store.close()
