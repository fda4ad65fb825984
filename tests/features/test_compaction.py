"""Small parts of the log are put together: the same rows in fewer files, whatever is cut off, and erasable."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.erasure.log import LogPlace
from features.errors import EventLogError
from features.events import EVENTS
from features.inbox.ids import LogIds
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.log import compaction
from features.log.delta_table import LogTable
from features.people.identity import account_key, load_key
from tests.features.live_shop import Shop, outcomes, sent, shop
from tests.features.log_cases import imported, mapping, written

IMPORTED = "id,kind,t,user,item,amount\nby-file,purchase,1749999940,a1,tea,12.99\n"


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(compaction, "PARTS_AT_ONCE", 4)
    return shop(tmp_path / "home")


@pytest.fixture
def inbox(till: Shop) -> Iterator[Inbox]:
    with Inbox(till.log) as inbox:
        yield inbox


def moved(till: Shop, inbox: Inbox, first: int, last: int) -> None:
    for number in range(first, last):
        till.send(inbox, [sent(number)])
        move(inbox, till.log)


def once(last: int) -> Counter[str]:
    return Counter(f"shop:purchase:o-{n}" for n in range(last))


def names(till: Shop) -> set[str]:
    return {Path(file).name for file in till.log.log_table(EVENTS.name).files()}


def on_disk(till: Shop) -> set[str]:
    return {file.name for file in till.log.log_table(EVENTS.name).folder.glob("*.parquet")}


def test_parts_of_moves_become_few_and_say_the_same(
    till: Shop, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(till.settings, written(tmp_path, IMPORTED), mapping(columns=mapping().columns | {"event_id": "id"}))
    inbox.read_log_ids()
    # Whatever is put together is known: no part is read for its ids again.
    monkeypatch.setattr(LogIds, "_read_part", lambda *_: pytest.fail("a part was read again"))
    moved(till, inbox, 0, 11)
    assert len(names(till)) <= 5
    assert till.logged() == once(11) + Counter(["shop:purchase:by-file"])
    assert outcomes(till.send(inbox, [sent(n) for n in range(12)])) == ["duplicate"] * 11 + ["accepted"]
    table = till.log.log_table(EVENTS.name)
    merges = [one for one in table.since(-1) if one.said["source"] == compaction.COMPACTION]
    assert [one.said["merged"] for one in merges] == [4, 4, 4]
    # Every earlier version says what it said, and the import's part is what it was.
    con = till.log.connect()
    for one in table.since(-1):
        many = till.log.events(con, one.version).aggregate("count(*)").fetchall()[0][0]
        assert many == sum(kept.said.get("accepted", 0) for kept in table.since(-1) if kept.version <= one.version)
    con.close()
    assert {name for name in names(till) if not name.startswith(("part-live-", "part-merged-"))} == set(
        next(table.since(-1)).parts
    )
    assert table.position("log") == inbox.readers()["log"]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", ["_note_replaced", "commit", "announce"])
@pytest.mark.parametrize("after", [False, True])
def test_what_is_cut_off_is_done_again(
    till: Shop, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    moved(till, inbox, 0, 3)
    where = compaction if step == "_note_replaced" else LogTable
    whole, asked = getattr(where, step), [0]

    def cut(*args: object, **more: object) -> None:
        asked[0] += 1
        # The move itself announces and commits before.
        if step == "_note_replaced" or asked[0] == 2:
            if after:
                whole(*args, **more)
            raise Killed
        whole(*args, **more)

    monkeypatch.setattr(where, step, cut)
    with pytest.raises(Killed):
        moved(till, inbox, 3, 4)
    monkeypatch.undo()
    monkeypatch.setattr(compaction, "PARTS_AT_ONCE", 4)
    moved(till, inbox, 4, 6)
    assert till.logged() == once(6)
    assert len(names(till)) <= 3
    noted = {name for _, some in compaction._noted(till.log.log_table(EVENTS.name)) for name in some}  # type: ignore[attr-defined]
    assert on_disk(till) == names(till) | noted


def test_replaced_parts_are_deleted_after_the_retention(
    till: Shop, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(till, inbox, 0, 4)
    assert len(on_disk(till)) == 5
    table, now = till.log.log_table(EVENTS.name), time.time()
    monkeypatch.setattr(compaction.time, "time", lambda: now + 60 * 86_400 - 9)
    moved(till, inbox, 4, 5)
    assert len(table.files(2)) == 3
    monkeypatch.setattr(compaction.time, "time", lambda: now + 60 * 86_400 + 9)
    moved(till, inbox, 5, 6)
    assert on_disk(till) == names(till)
    with pytest.raises(
        EventLogError, match="is gone, since its parts were put together more than `versions_days` ago: 2"
    ):
        table.files(2)
    assert till.logged() == once(6)


def test_who_is_erased_is_in_no_part_of_before(till: Shop, inbox: Inbox) -> None:
    moved(till, inbox, 0, 6)
    gone = account_key(load_key(till.settings), "shop", "a1")
    table = till.log.log_table(EVENTS.name)
    assert LogPlace(till.log, EVENTS.name).erase([], [gone]) == 1
    assert on_disk(till) == names(till)
    assert not any(gone.encode() in part.read_bytes() for part in table.folder.glob("*.parquet"))
    assert till.logged() == once(6) - Counter(["shop:purchase:o-1"])
    moved(till, inbox, 6, 12)
    assert till.logged() == once(12) - Counter(["shop:purchase:o-1"])
    assert len(names(till)) <= 4


def test_large_parts_are_left_alone_and_no_merge_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PARTS_AT_ONCE", 4)
    large = {f"part-live-{n}": 500_000 for n in range(9)}
    assert compaction._many_small(large) == []
    middle = {f"part-merged-{n}": 400_000 for n in range(9)}
    small = {f"part-live-{n}": 100 for n in range(20, 23)}
    assert compaction._many_small(large | middle | small) == [f"part-merged-{n}" for n in range(5)]
    assert compaction._many_small({f"part-1750000000-{n}": 10 for n in range(9)}) == []
