"""Tells a person at the terminal which step runs, how far it is, and what could be reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from features.progress import progress

Advance = Callable[[], object]


class Steps:
    """Prints one line per finished step and, on a terminal, a progress bar while it runs.

    Parameters
    ----------
    console
        Where to print; standard error by default, so that results on standard output stay clean.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """Show a bar for the step; the yielded function advances it by one."""
        started = time.perf_counter()
        with progress(self.console) as bar:
            task = bar.add_task(name, total=total)
            yield lambda: bar.advance(task)
        self.say(f"{name}: done in {time.perf_counter() - started:.1f} s")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def reused(self, name: str) -> None:
        """Say that an earlier run's result serves."""
        self.say(f"{name}: reused, nothing it depends on has changed")
