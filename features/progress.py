"""One look for every progress bar; silent where nobody watches."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress(console: Console | None = None) -> Progress:
    """Return a progress display to use as a context manager; off where the console is no terminal.

    Parameters
    ----------
    console
        Where to draw; standard error by default, so that results on standard output stay clean.

    Examples
    --------
    >>> with progress(Console(quiet=True)) as bar:
    ...     task = bar.add_task("counting", total=2)
    ...     bar.advance(task)
    """
    console = console or Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Off, or rich would leave an empty line in logs for each bar.
        disable=not console.is_terminal,
    )
