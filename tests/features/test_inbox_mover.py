"""Live events reach the log exactly once, wherever a move is cut off and whatever is imported meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from features.errors import EventLogError
from features.events import EVENTS
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.inbox.moving import Mover
from features.inbox.replay import replay
from features.log.delta_table import LogTable
from features.log.importing import import_lock
from features.log.quarantine import Quarantine, counts, load, names
from tests.features.live_shop import NOW, Shop, outcomes, sent, shop
from tests.features.log_cases import imported, mapping, written

ONCE = Counter({f"shop:purchase:o-{n}": 1 for n in range(4)})
# The import says what the shop's live events say.
IMPORTED = "id,kind,t,user,item,amount\n" + "".join(f"o-{n},purchase,{NOW - 60},a{n},tea,12.99\n" for n in range(4))


@pytest.fixture
def till(tmp_path: Path) -> Shop:
    return shop(tmp_path / "home")


def bring(till: Shop, folder: Path, text: str = IMPORTED) -> None:
    columns = mapping().columns | {"event_id": "id"}
    imported(till.settings, written(folder, text), mapping(columns=columns))


def test_events_move_with_every_column(till: Shop) -> None:
    item = sent(1, event_time="2025-06-15T15:05:40+00:00", dwell_ms=5, read_percent=50, own_label=False)
    with Inbox(till.log) as inbox:
        till.send(inbox, [item])
        done = move(inbox, till.log)
        assert (done.events, done.version, inbox.describe().waiting) == (1, 0, 0)
    con = till.log.connect()
    columns = "event_id, event_time, arrived_at, day, amount, currency, dwell_ms, read_percent, own_label, source"
    assert till.log.events(con).project(columns).fetchall() == [
        ("shop:purchase:o-1", NOW - 60, NOW, 20254, 1299, "CNY", 5, 50.0, False, "till")
    ]


def test_moving_again_moves_nothing(till: Shop) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(4)])
        move(inbox, till.log)
        assert move(inbox, till.log).events == 0
        assert outcomes(till.send(inbox, [sent(n) for n in range(4)])) == ["duplicate"] * 4
    assert till.logged() == ONCE


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("where", "step"), [(LogTable, "commit"), (Inbox, "moved_to"), (Inbox, "quarantined"), (Quarantine, "keep")]
)
@pytest.mark.parametrize("after", [False, True])
def test_a_move_that_is_cut_off_is_finished_by_the_next(
    till: Shop, monkeypatch: pytest.MonkeyPatch, where: type, step: str, after: bool
) -> None:
    whole = getattr(where, step)

    def cut(*args: object) -> None:
        if after:
            whole(*args)
        raise Killed

    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(4)] + ["no object"])
        monkeypatch.setattr(where, step, cut)
        with pytest.raises(Killed):
            move(inbox, till.log)
        monkeypatch.undo()
    with Inbox(till.log) as inbox:
        move(inbox, till.log)
        assert inbox.describe().waiting == inbox.describe().refused == 0
    assert till.logged() == ONCE
    assert sum(counts(till.settings).values()) == 1
    table = till.log.log_table(EVENTS.name)
    assert {Path(file).name for file in table.files()} == {file.name for file in table.folder.glob("*.parquet")}


def test_a_lost_inbox_brings_nothing_twice(till: Shop) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(4)])
        move(inbox, till.log)
    till.settings.inbox_file.unlink()
    with Inbox(till.log) as inbox:
        assert outcomes(till.send(inbox, [sent(n) for n in range(5)])) == ["duplicate"] * 4 + ["accepted"]
        move(inbox, till.log)
    assert till.logged() == ONCE + Counter(["shop:purchase:o-4"])


def test_what_was_imported_counts_as_seen(till: Shop, tmp_path: Path) -> None:
    bring(till, tmp_path)
    with Inbox(till.log) as inbox:
        assert outcomes(till.send(inbox, [sent(0), sent(1, amount=1), sent(9)])) == [
            "duplicate", "quarantined", "accepted",
        ]  # fmt: skip


def test_what_is_imported_while_the_inbox_is_open_counts_as_seen(till: Shop, tmp_path: Path) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(9)])
        bring(till, tmp_path)
        assert outcomes(till.send(inbox, [sent(n) for n in range(4)])) == ["duplicate"] * 4


def test_an_import_that_comes_before_the_move_is_not_doubled(till: Shop, tmp_path: Path) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(2)])
        bring(till, tmp_path)
        till.send(inbox, [sent(9)])
        done = move(inbox, till.log)
        assert (done.events, done.superseded) == (1, 2)
    assert till.logged() == ONCE + Counter(["shop:purchase:o-9"])


def test_an_import_after_the_move_finds_live_events_in_the_log(till: Shop, tmp_path: Path) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(2)])
        move(inbox, till.log)
    bring(till, tmp_path)
    assert till.logged() == ONCE


def test_a_move_waits_for_the_end_of_an_import(till: Shop) -> None:
    with Inbox(till.log) as inbox, import_lock(till.settings):
        till.send(inbox, [sent(1)])
        with pytest.raises(EventLogError, match="another import is writing"):
            move(inbox, till.log)
        assert inbox.describe().waiting == 1


def test_the_mover_moves_once_more_when_it_ends(till: Shop) -> None:
    with Inbox(till.log) as inbox:
        with Mover(inbox, 3600):
            till.send(inbox, [sent(n) for n in range(4)])
        assert inbox.describe().waiting == 0
    assert till.logged() == ONCE


def test_quarantine_is_replayed_by_the_rules_of_live_events(till: Shop) -> None:
    bad = [sent(1, event_time="yesterday"), sent(2, colour="red"), sent(3, amount=12.5), sent(0, kind="buy")]
    with Inbox(till.log) as inbox:
        assert outcomes(till.send(inbox, bad)) == ["quarantined"] * 4
        till.send(inbox, bad)
        move(inbox, till.log)
    (name,) = names(till.settings)
    again = replay(till.log, name)
    assert (again.read, again.accepted, again.quarantined) == (4, 0, 4)
    assert sorted(again.reasons)[0].startswith("amount: no amount of CNY; valid: whole minor units such as 1299")
    path = till.settings.quarantine_dir / f"{again.quarantine}.jsonl"
    text = path.read_text()
    for wrong, right in (
        ("yesterday", "2025-06-15T15:05:40Z"),
        ("12.5", '\\"12.50\\"'),
        (':\\"buy', ':\\"purchase'),
    ):
        text = text.replace(wrong, right)
    path.write_text(text)
    mended = replay(till.log, again.quarantine)
    assert (mended.read, mended.accepted, mended.quarantined) == (4, 3, 1)
    assert [
        r.column for file in load(till.settings, mended.quarantine) for row in file.rows for r in row.reasons
    ] == ["colour"]
    with Inbox(till.log) as inbox:
        resent = [sent(1), sent(3, amount="12.50"), sent(0)]
        assert outcomes(till.send(inbox, resent)) == ["duplicate"] * 3
