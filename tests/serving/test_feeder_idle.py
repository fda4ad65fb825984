from __future__ import annotations

from typing import Any

import pytest

from serving.live.feeder import Feeder


class EmptyInbox:
    """All events up to a number have left, and a store knows of none of them."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self.waited: list[int] = []
        self.feeder: Feeder | None = None

    def after(self, seq: int, limit: int) -> list[Any]:
        return []

    def readers(self) -> dict[str, int]:
        return {"tags": -1}

    def retired(self) -> set[str]:
        return set()

    def wait(self, seq: int, timeout: float) -> bool:
        self.waited.append(seq)
        assert self.feeder is not None
        self.feeder._stop.set()
        return self.last_seq > seq


class Tags:
    name = "tags"
    command = "zhongcao backfill"

    def __init__(self, at: int) -> None:
        self.at = at

    def position(self) -> int:
        return self.at


@pytest.mark.parametrize(("at", "waits_behind"), [(-1, 7), (7, 7), (9, 9)])
def test_nobody_waits_for_events_that_have_left(at: int, waits_behind: int) -> None:
    inbox = EmptyInbox(7)
    inbox.feeder = Feeder(inbox, [Tags(at)])  # type: ignore[arg-type, list-item]
    with inbox.feeder:
        inbox.feeder._thread.join(5)
    assert inbox.waited == [waits_behind]
