"""Processes that send and move events until they are killed: ``python -m tests.features.killed_inbox HOME ROUNDS``.

Prints, for every event that was acknowledged, its id, and for every one that was quarantined, its text.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from features.inbox.inbox import Inbox
from features.inbox.moving import Mover
from tests.features.live_shop import sent, shop

_EVENTS_OF_A_ROUND = 100_000


def main(home: Path, rounds: int) -> None:
    """Kill a child per round, at another moment each time."""
    moments = random.Random(7)
    for number in range(rounds):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            send(home, number, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            said = told.readline()
            time.sleep(moments.uniform(0.05, 0.6))
            os.kill(child, signal.SIGKILL)
            said += told.read()
        os.waitpid(child, 0)
        # The last line may be cut off: nobody was told.
        sys.stdout.write(said.decode().rpartition("\n")[0] + "\n")


def send(home: Path, number: int, writing: int) -> None:
    """Send batches from three threads for ever; each also sends what it has sent before, and one bad row."""
    till = shop(home)
    with Inbox(till.log) as inbox, Mover(inbox, 0.02):

        def work(thread: int) -> None:
            first = number * _EVENTS_OF_A_ROUND + thread * _EVENTS_OF_A_ROUND // 3
            while True:
                items = [sent(n) for n in range(max(first - 3, 0), first + 5)] + [{"bad": first}]
                verdicts = till.send(inbox, items)
                lines = [
                    f"{verdict.outcome} {item.get('event_id', item.get('bad'))}\n"
                    for verdict, item in zip(verdicts, items, strict=True)
                ]
                os.write(writing, "".join(lines).encode())
                first += 5

        threads = [threading.Thread(target=work, args=(thread,), daemon=True) for thread in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
