"""How often the rules of a taxonomy came true in the event log."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from features.days import DAY_SECONDS, instant_of
from features.errors import LogTooShortError
from features.log.event_log import EventLog
from features.people.population import population
from features.rows.outcomes import base_rates
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy

TOO_COMMON = 0.7


def print_base_rates(settings: Settings, taxonomy: Taxonomy, as_of: str | None, rarest: float) -> None:
    """Print base rates per tag, and which tags are too rare or too common to say much.

    Parameters
    ----------
    settings
        Where the log is.
    taxonomy
        Whose tags.
    as_of
        End of the outcome window; the log's end where it is None.
    rarest
        Base rate below which a tag is called too rare.

    Raises
    ------
    LogTooShortError
        Nobody had an event before the window.
    """
    log = EventLog.open(settings)
    con = log.connect()
    last = log.span(con)[1] + 1
    end = last if as_of is None else min(instant_of(as_of, log.timezone), last)
    instant = end - taxonomy.horizon_days * DAY_SECONDS
    events = log.events(con)
    spine = population(events, log.table(con, "identities"), [instant], log.timezone, known_at=end)
    if not len(spine):
        raise LogTooShortError(
            "nobody had an event before the outcome window",
            value=instant,
            next_step="import more of the past, or check the file alone with --no-log",
        )
    rates = base_rates(taxonomy, events, spine)
    moment = datetime.fromtimestamp(end, ZoneInfo(log.timezone)).isoformat(" ", "minutes")
    table = Table("tag", "base rate", "", title=f"{len(spine)} people, the windows that end by {moment}")
    verdicts = {tag: _verdict(rate, rarest) for tag, rate in rates.items()}
    for tag, rate in sorted(rates.items(), key=lambda entry: (entry[1], entry[0])):
        table.add_row(tag, f"{rate:.2%}", verdicts[tag])
    console = Console()
    console.print(table)
    rare, common = (sum(v == verdict for v in verdicts.values()) for verdict in ("too rare", "too common"))
    console.print(
        f"{len(rates) - rare - common} of {len(rates)} tags can be learned; {rare} too rare, {common} too common"
    )


def _verdict(rate: float, rarest: float) -> str:
    if rate < rarest:
        return "too rare"
    return "too common" if rate > TOO_COMMON else ""
