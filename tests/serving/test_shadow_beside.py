"""Challengers beside requests: answers neither wait for them nor differ, whatever they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from features.settings import Settings
from serving.predictions.ids import new_id
from serving.predictions.record import Made
from serving.shadow.pointer import Pointed, start_shadow, stop_shadow
from serving.shadow.shadow import Shadow
from tests.serving.asked_homes import asked_home
from tests.serving.bundle_variants import another
from tests.serving.calls import post
from tests.serving.conversion_homes import copied
from training.bundles.champion import champion_path
from training.bundles.manifest import CONVERSION, TAGS

WHO = [f"u{number}" for number in (0, 7, 9, 12)]
TEA = "tea.will-buy"


def unchecked(*_: object) -> None:
    """Pass a bundle that was just made, without the child process that others go through."""


@pytest.fixture(scope="module")
def home(small_champions: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("beside")
    return copied(small_champions, folder).model_copy(update={"predictions_share": 1.0})


@pytest.fixture(scope="module")
def higher(home: Settings) -> Path:
    """A challenger of tags whose scores are a little higher."""
    return another(champion_path(home), 40)


def runs(home: Settings, challenger: Path) -> None:
    start_shadow(home, challenger, TAGS, Pointed(challenger.name, int(time.time()), 1.0), unchecked)


class Log:
    """Names predictions."""

    def keep(self, make: Callable[[str], Made]) -> str:
        return new_id()


def test_requests_never_wait_for_a_shadow(home: Settings, higher: Path) -> None:
    def never(_: str) -> Made:
        raise AssertionError("made while a request waits")

    shadow = Shadow(home, Log(), {}, verify=unchecked)
    assert len({shadow.keep(never) for _ in range(5)}) == 5
    assert shadow._queue.qsize() == 0  # nothing runs, nothing is remembered
    runs(home, higher)
    shadow.look()
    for _ in range(600):
        shadow.keep(never)
    assert shadow._queue.qsize() == 512
    assert shadow._dropped == 88


class Pauses:
    """Stands in for the event that ends the thread: counts pauses instead of making them."""

    def __init__(self, many: int) -> None:
        self.many, self.made = many, []  # type: ignore[var-annotated]

    def is_set(self) -> bool:
        return len(self.made) >= self.many

    def wait(self, seconds: float) -> None:
        self.made.append(seconds)


def test_without_a_challenger_the_thread_looks_for_one_twice_a_second(home: Settings, higher: Path) -> None:
    stop_shadow(home, TAGS)
    stop_shadow(home, CONVERSION)
    idle, busy = Pauses(3), Pauses(3)
    shadow = Shadow(home, Log(), {}, verify=unchecked)
    shadow._stop = idle  # type: ignore[assignment]
    shadow._work()
    runs(home, higher)
    shadow._stop = busy  # type: ignore[assignment]
    shadow._work()
    assert (idle.made, busy.made) == ([0.5] * 3, [0.05] * 3)


@pytest.mark.parametrize("does", ["raises", "never ends"])
def test_answers_are_the_same_whatever_a_challenger_does(home: Settings, higher: Path, does: str) -> None:
    body = {"people": [{"platform": "shop", "account": account} for account in WHO], "top": 3}
    runs(home, higher)
    called, end = Event(), Event()

    class Challenger:
        """A model that fails in its way."""

        def predict(self, _: Any) -> Any:
            called.set()
            if does == "never ends":
                end.wait(60)
            raise RuntimeError("the challenger failed")

    def answers(asked: Any) -> list[Any]:
        found = [post(asked.app, path="/v1/tags", json=body).json()["people"] for _ in range(160)]
        return [[one | {"prediction_id": None} for one in people] for people in found]

    def beside(log: Any, champions: Any) -> Shadow:
        return Shadow(home, log, {"tags": champions.tags}, verify=unchecked)

    with asked_home(home) as asked:
        alone = answers(asked)[0]
    made: list[Shadow] = []
    with asked_home(home, beside=lambda *given: made.append(beside(*given)) or made[0]) as asked:  # type: ignore[func-returns-value]
        (shadow,) = made
        shadow.look()
        shadow._running["tags"].bundle = SimpleNamespace(
            model=Challenger(), layout=shadow._running["tags"].bundle.layout
        )
        shadow._common = lambda *_: SimpleNamespace(columns=slice(None), theirs=slice(None), names=(TEA,))  # type: ignore[method-assign, assignment, return-value]
        with shadow:
            found = answers(asked)
            assert called.wait(20)
            end.set()
    assert all(people == alone for people in found)
    if does == "never ends":
        assert shadow._dropped > 0
        assert shadow._queue.qsize() <= 512


def test_a_challenger_that_fails_is_told_of_and_one_that_hangs_keeps_no_server_from_its_end(
    home: Settings, higher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(home, higher)
    made: Any = SimpleNamespace(kind="tags", id=new_id(), model="m")
    shadow, entered, end = Shadow(home, Log(), {}, verify=unchecked), Event(), Event()
    shadow.look()

    def fails(*_: Any) -> None:
        raise RuntimeError("the challenger failed")

    def hangs(*_: Any) -> None:
        entered.set()
        end.wait(60)

    shadow._common = fails  # type: ignore[method-assign, assignment]
    for _ in range(3):
        shadow.keep(lambda _: made)
    assert shadow.score() == 3
    running = shadow._running["tags"]
    assert (running.unread, running.why) == (3, "the challenger failed: RuntimeError")
    monkeypatch.setattr("serving.shadow.shadow._END_SECONDS", 0.01)
    shadow._common = hangs  # type: ignore[method-assign, assignment]
    with shadow:
        shadow.keep(lambda _: made)
        assert entered.wait(20)
    assert shadow._thread.is_alive()
    end.set()
    shadow._thread.join()
