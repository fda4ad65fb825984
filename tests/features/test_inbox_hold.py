"""A check of a store holds events in the inbox as long as it lives, and no longer."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from features.inbox.hold import PARITY_READER, held_for
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from tests.features.live_shop import Shop, sent, shop

_KILLED = """
import os, signal, sys
from features.inbox.hold import PARITY_READER, held_for
from features.log.event_log import EventLog
from features.settings import Settings
with held_for(EventLog.open(Settings(home=sys.argv[1])), PARITY_READER):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def moved(till: Shop, inbox: Inbox, number: int) -> int:
    """Send an event and move it; return how many are kept in the inbox."""
    till.send(inbox, [sent(number)])
    move(inbox, till.log)
    return len(inbox.after(-1, 10))


def test_a_living_check_holds_events(tmp_path: Path) -> None:
    till = shop(tmp_path / "home")
    with Inbox(till.log) as inbox:
        assert moved(till, inbox, 1) == 0
        with held_for(till.log, PARITY_READER):
            assert moved(till, inbox, 2) == 1
            assert moved(till, inbox, 3) == 2


def test_a_killed_check_holds_events_until_the_next_move(tmp_path: Path) -> None:
    till = shop(tmp_path / "home")
    with Inbox(till.log) as inbox:
        assert moved(till, inbox, 1) == 0
        ended = subprocess.run([sys.executable, "-c", _KILLED, str(till.settings.home)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert set(inbox.readers()) == {"log", "parity fill"}
        assert moved(till, inbox, 2) == 0
        assert set(inbox.readers()) == {"log"}
