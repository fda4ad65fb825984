"""Receipts of erasures: each with its own places, in the order asked for, one looked up alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from features.erasure import erasures
from features.erasure.erasable import ErasablePlace
from features.erasure.erasures import ErasedPlace, ask, carry_out, receipt, receipts
from features.erasure.person_keys import PersonKeys
from features.errors import RightsError
from features.settings import Settings


class Place(ErasablePlace):
    def __init__(self, name: str, removed: int) -> None:
        self.name = name
        self._removed = removed

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        return self._removed


def test_each_receipt_has_its_own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    assert receipts(settings) == []
    first, second, third = (ask(settings, PersonKeys(name * 32, (name * 31 + "0",))) for name in "abc")
    # Carried out in another order than asked for; places as they were done.
    carry_out(settings, third, [Place("z", 1), Place("a", 2)])
    carry_out(settings, first, [Place("m", 3)])
    found = receipts(settings)
    assert [one.id for one in found] == [first, second, third]
    assert [one.places for one in found] == [
        (ErasedPlace("m", 3, False),),
        (),
        (ErasedPlace("z", 1, False), ErasedPlace("a", 2, False)),
    ]
    assert [one.finished_at is None for one in found] == [False, True, False]
    monkeypatch.setattr(erasures, "receipts", lambda _: pytest.fail("all were read to find one"))
    assert [receipt(settings, one) for one in (first, second, third)] == found
    with pytest.raises(RightsError, match="no erasure has this id"):
        receipt(settings, "none")
