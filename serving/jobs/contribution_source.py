"""What a contribution report reads from the log, and the period it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from features.days import day_text, instant_of, shift_days
from features.locks import READING_LOCK, Shared
from features.log.event_log import EventLog
from features.sources.mapping import minor_digits
from training.contribution.report import Tables

USUAL_DAYS = 30


@contextmanager
def open_tables(log: EventLog) -> Iterator[Tables]:
    """Open the log's tables, events of the present version, on one connection that is closed afterwards.

    Nobody is erased meanwhile.
    """
    reading = Shared(log.settings.work_dir / READING_LOCK)
    con = log.connect()
    try:
        yield Tables(
            events=log.events(con, log.version),
            identities=log.table(con, "identities").to_arrow_table(),
            notes=log.table(con, "notes").to_arrow_table(),
            items=log.table(con, "items").to_arrow_table(),
            campaigns=log.table(con, "campaigns").to_arrow_table(),
            assignments=log.table(con, "assignments"),
            spend=log.table(con, "spend").to_arrow_table(),
            note_items=log.table(con, "note_items").to_arrow_table(),
            timezone=log.timezone,
            currency=log.currency,
            minor_digits=minor_digits(log.currency),
        )
    finally:
        con.close()
        del reading


def period_of(first: str | None, last: str | None, as_of: int, timezone: str) -> tuple[int, int]:
    """Return the period from the first moment of one day to the last of another, epoch seconds, half open.

    Parameters
    ----------
    first, last
        Days; by default 30 days that end with the day before the as-of instant's last second.
    as_of
        Epoch seconds.
    timezone
        Of the log.

    Examples
    --------
    >>> period_of("2024-05-01", "2024-05-02", 0, "UTC")
    (1714521600, 1714694400)
    """
    end = shift_days(_midnight(last or day_text(as_of - 1, timezone), timezone), 1, timezone)
    start = shift_days(end, -USUAL_DAYS, timezone) if first is None else _midnight(first, timezone)
    return start, end


def _midnight(text: str, timezone: str) -> int:
    return instant_of(day_text(instant_of(text, timezone), timezone), timezone)
