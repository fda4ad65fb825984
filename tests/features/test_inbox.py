"""The inbox: every event once, on disk before it is acknowledged, whatever is sent and in whatever order."""

from __future__ import annotations

import itertools
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InboxError
from features.inbox.batch import ROW_COLUMNS
from features.inbox.inbox import Inbox
from features.inbox.writer import InboxLimits
from tests.features.live_shop import NOW, Shop, outcomes, sent, shop


@pytest.fixture
def till(tmp_path: Path) -> Shop:
    return shop(tmp_path)


@pytest.fixture
def inbox(till: Shop) -> Iterator[Inbox]:
    with Inbox(till.log) as opened:
        yield opened


def test_first_is_accepted_again_is_duplicate_other_content_is_quarantined(till: Shop, inbox: Inbox) -> None:
    items = [sent(1), sent(1), sent(1, amount=5), sent(2)]
    verdicts = till.send(inbox, items)
    assert outcomes(verdicts) == ["accepted", "duplicate", "quarantined", "accepted"]
    assert [(r.column, r.problem) for r in verdicts[2].reasons] == [("event_id", "same id, other content")]
    assert outcomes(till.send(inbox, [sent(2), sent(2, account="b"), sent(1)])) == [
        "duplicate", "quarantined", "duplicate",
    ]  # fmt: skip
    assert [row[1] for row in inbox.after(0, 9)] == ["shop:purchase:o-1", "shop:purchase:o-2"]


def test_rows_hold_what_was_sent_the_pseudonym_and_when_they_came(till: Shop, inbox: Inbox) -> None:
    till.send(inbox, [sent(1, event_time=NOW + 200, amount="12.5", currency="CNY", own_label=True)])
    row = dict(zip(("seq", *ROW_COLUMNS), inbox.after(0, 1)[0], strict=True))
    assert (row["amount"], row["currency"], row["own_label"], row["source"]) == (1250, "CNY", 1, "till")
    assert (row["event_time"], row["arrived_at"]) == (NOW + 200, NOW + 200)
    assert len(row["account"]) == 32


def test_seq_grows_for_ever_and_readers_page_through(till: Shop, inbox: Inbox) -> None:
    till.send(inbox, [sent(n) for n in range(5)])
    first = [row[0] for row in inbox.after(0, 3)]
    rest = [row[0] for row in inbox.after(first[-1], 9)]
    assert first + rest == list(range(first[0], first[0] + 5))
    inbox.moved_to(rest[-1])
    assert inbox.after(0, 9) == []
    till.send(inbox, [sent(9)])
    assert inbox.after(0, 9)[0][0] > rest[-1]


def test_a_lost_inbox_goes_on_behind_the_old_one(till: Shop) -> None:
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(1)])
        before = inbox.after(0, 1)[0][0]
    till.settings.inbox_file.unlink()
    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(1)])
        assert inbox.after(0, 1)[0][0] >= before


def test_events_stay_until_every_reader_has_passed_them(till: Shop, inbox: Inbox) -> None:
    till.send(inbox, [sent(1), sent(2)])
    one, two = (row[0] for row in inbox.after(0, 9))
    inbox.passed("live", two)
    assert len(inbox.after(0, 9)) == 2
    inbox.moved_to(one)
    assert [row[0] for row in inbox.after(0, 9)] == [two]
    inbox.passed("live", one)
    assert inbox.describe().readers == {"live": two, "log": one}


def test_a_waiting_reader_is_woken_by_a_commit(till: Shop, inbox: Inbox) -> None:
    woken: list[bool] = []
    last = inbox.describe().last_seq
    waiter = threading.Thread(target=lambda: woken.append(inbox.wait(last, 20)))
    waiter.start()
    till.send(inbox, [sent(1)])
    waiter.join()
    assert woken == [True]
    assert not inbox.wait(last + 1, 0)


def test_file_is_private_and_every_commit_reaches_the_disk(till: Shop, inbox: Inbox) -> None:
    till.send(inbox, [sent(1)])
    assert stat.S_IMODE(till.settings.inbox_file.stat().st_mode) == 0o600
    pragmas = inbox._writer.run(
        lambda c: [c.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "synchronous")]
    )
    assert pragmas == ["wal", 2]


def test_nobody_is_told_before_the_commit_has_ended(till: Shop, inbox: Inbox) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def traced(statement: str) -> None:
        if statement == "COMMIT":
            begun.set()
            go_on.wait(20)

    inbox._writer.run(lambda connection: connection.set_trace_callback(traced))
    told = inbox._writer.submit(till.reader.read([sent(1)], "till"))
    assert begun.wait(20)
    assert not told.done()
    assert inbox.after(-1, 9) == []
    go_on.set()
    assert outcomes(told.result(20)) == ["accepted"]
    assert len(inbox.after(-1, 9)) == 1


def test_concurrent_callers_share_commits_and_each_gets_its_own_verdicts(till: Shop, inbox: Inbox) -> None:
    answers: dict[int, list[str]] = {}
    ready = threading.Barrier(8)

    def call(number: int) -> None:
        ready.wait()
        answers[number] = outcomes(till.send(inbox, [sent(number), sent(100)]))

    callers = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [answers[n][0] for n in range(8)] == ["accepted"] * 8
    assert sorted(answers[n][1] for n in range(8)) == ["accepted"] + ["duplicate"] * 7


def test_a_full_disk_is_said_and_what_follows_once_there_is_room_is_taken(till: Shop, inbox: Inbox) -> None:
    till.send(inbox, [sent(0)])

    def fill(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    inbox._writer.run(fill)
    items = [sent(n, shop="s" * 400) for n in range(1, 400)]
    with pytest.raises(InboxError, match="the disk does not take events now; send the same events again in 30 s"):
        till.send(inbox, items)
    assert len(inbox.after(0, 999)) == 1
    inbox._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 100000"))
    assert set(outcomes(till.send(inbox, items))) == {"accepted"}


def test_back_pressure_bounds_what_waits(till: Shop) -> None:
    with Inbox(till.log, InboxLimits(waiting=3)) as inbox:
        till.send(inbox, [sent(n) for n in range(3)])
        with pytest.raises(InboxError, match="too many events wait to be moved") as caught:
            till.send(inbox, [sent(9)])
        assert not caught.value.busy
        inbox.moved_to(inbox.describe().last_seq)
        assert outcomes(till.send(inbox, [sent(9)])) == ["accepted"]


def test_back_pressure_bounds_what_is_kept_for_quarantine(till: Shop) -> None:
    with Inbox(till.log, InboxLimits(refused_bytes=10)) as inbox:
        till.send(inbox, [{"far": "too little"}])
        with pytest.raises(InboxError, match="too many events wait"):
            till.send(inbox, [sent(9)])
        inbox.quarantined(inbox.refused(9))
        assert outcomes(till.send(inbox, [sent(9)])) == ["accepted"]


def test_callers_that_are_too_fast_are_told_to_come_again(till: Shop) -> None:
    with Inbox(till.log, InboxLimits(queued=3)) as inbox:
        hold, held = threading.Event(), threading.Event()

        def busy(_: sqlite3.Connection) -> None:
            held.set()
            hold.wait(20)

        holder = threading.Thread(target=inbox._writer.run, args=(busy,))
        holder.start()
        held.wait(20)
        first = inbox._writer.submit(till.reader.read([sent(1), sent(2)], "till"))
        with pytest.raises(InboxError, match="faster than the disk") as caught:
            till.send(inbox, [sent(3), sent(4)])
        assert caught.value.busy
        with pytest.raises(InboxError, match="not taken the events in time"):
            inbox.accept(till.reader.read([sent(5)], "till"), timeout=0)
        hold.set()
        holder.join()
        assert outcomes(first.result()) == ["accepted", "accepted"]
        assert outcomes(till.send(inbox, [sent(5)])) == ["duplicate"]


def test_a_closed_inbox_takes_nothing(till: Shop) -> None:
    with Inbox(till.log) as inbox:
        pass
    with pytest.raises(InboxError, match="being closed"):
        till.send(inbox, [sent(1)])


NUMBERS = st.tuples(st.integers(0, 5), st.integers(0, 2))


def test_any_sequence_of_batches_is_judged_as_one_by_one(till: Shop, inbox: Inbox) -> None:
    event, amount = (1 + ROW_COLUMNS.index(name) for name in ("event_id", "amount"))
    rounds = itertools.count(1)

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.lists(NUMBERS, max_size=8), max_size=4))
    def check(batches: list[list[tuple[int, int]]]) -> None:
        first: dict[int, int] = {}
        offset, last = 10 * next(rounds), inbox.describe().last_seq
        for batch in batches:
            expected = []
            for number, paid in batch:
                same = "duplicate" if first.get(offset + number) == paid else "quarantined"
                expected.append(same if offset + number in first else "accepted")
                first.setdefault(offset + number, paid)
            assert outcomes(till.send(inbox, [sent(offset + n, amount=a) for n, a in batch])) == expected
        rows = inbox.after(last, 999)
        assert [(int(row[event].rpartition("-")[2]), row[amount]) for row in rows] == list(first.items())

    check()
