"""What windows say of the champion: drift of columns and scores, and quality on outcomes that are known by now."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.days import DAY_SECONDS
from features.errors import LogTooShortError
from features.log.event_log import EventLog
from features.settings import Settings
from training.source import LogSource, open_source
from training.splits import last_mature
from training.steps import Steps
from training.tags.bundle import Bundle
from training.tags.windows import WindowBuilder
from training.triggers.drift import drift
from training.triggers.quality import quality, worse
from training.triggers.trigger import Trigger

FEWEST_UNTREATED: Final = 500
"""People held out of campaigns, from which on drift is looked for in them alone."""
_MOST_PEOPLE: Final = 20_000
_LEAST_DAYS: Final = 7
_UNTREATED: Final = """
select distinct coalesce(links.person, arms.account) from arms
left join (select account, arg_max(person, (valid_from, arrived_at)) as person from links
    where valid_from <= {at} and arrived_at <= {at} group by account) links using (account)
where arm = 'hold_out' and arms.valid_from <= {at} and arms.arrived_at <= {at}
"""


def watch(settings: Settings, champion: Bundle, present: int, steps: Steps) -> list[Trigger]:
    """Return the reasons ``drift``, ``score-drift``, ``loss`` and ``calibration``.

    Drift compares people as of now with people as of the champion's instant, and both with the same time before:
    those held out of campaigns where there are enough, for what delivery itself changed is no drift.

    Parameters
    ----------
    settings
        Where the log lies; windows are kept there.
    champion
        The tag models that serve.
    present
        Now, epoch seconds.
    steps
        Shows progress.
    """
    source = open_source(settings, most_people=settings.train_people)
    kinds = champion.about.get("choices", {}).get("kinds")
    builder = WindowBuilder(
        source, champion.taxonomy, champion.layout, settings.work_dir / "windows",
        None if kinds is None else tuple(kinds),
    )  # fmt: skip
    with steps.step("what changed since the champion was trained", 2) as advance:
        found = _drifts(settings, champion, present, builder)
        advance()
        found += _qualities(settings, champion, present, builder)
        advance()
    return found


def _drifts(settings: Settings, champion: Bundle, present: int, builder: WindowBuilder) -> list[Trigger]:
    days = (present - champion.as_of) // DAY_SECONDS
    names = ("drift", "score-drift")
    if days < _LEAST_DAYS:
        return [Trigger(name, False, f"the champion knows all but the last {days} days") for name in names]
    earlier = champion.as_of - (present - champion.as_of)
    try:
        builder.source.first(earlier)
    except LogTooShortError:
        return [Trigger(name, False, "the log is too short before the champion to tell") for name in names]
    untreated = _untreated(settings, builder.source, champion.as_of)
    instants = (earlier, champion.as_of, present)
    tables = [_rows(builder, instant, untreated) for instant in instants]
    about = f"{len(tables[-1]):,} people held out of campaigns" if untreated else f"{len(tables[-1]):,} people"
    scores = [champion.model.predict(rows, threads=settings.threads) for rows in tables]
    active = np.flatnonzero(champion.model.active)
    tags = [champion.taxonomy.tags[number].id for number in active]
    return [
        drift("drift", "columns", champion.layout.columns, (tables[0], tables[1], tables[2]), about),
        drift("score-drift", "tags", tags, (*(one[:, active] for one in scores),), about),  # type: ignore[arg-type]
    ]


def _rows(builder: WindowBuilder, instant: int, among: set[str]) -> Any:
    persons, rows = builder.rows(instant)
    places = np.flatnonzero([person in among for person in persons]) if among else np.arange(len(persons))
    step = -(-len(places) // _MOST_PEOPLE) or 1
    return np.asarray(rows[places[::step]])


def _untreated(settings: Settings, source: LogSource, at: int) -> set[str]:
    """Return the people held out of a campaign by an instant; nobody where they are few."""
    EventLog.open(settings).rows(source.con, "assignments").create_view("arms", replace=True)
    source.identities.create_view("links", replace=True)
    people = {person for (person,) in source.con.sql(_UNTREATED.format(at=int(at))).fetchall()}
    return people if len(people) >= FEWEST_UNTREATED else set()


def _qualities(settings: Settings, champion: Bundle, present: int, builder: WindowBuilder) -> list[Trigger]:
    delay = int(champion.about.get("choices", {}).get("delay_days", 0)) * DAY_SECONDS
    latest = last_mature(present, champion.taxonomy.base.horizon_days, delay, builder.source.timezone)
    days = (latest - champion.as_of) // DAY_SECONDS
    if days < _LEAST_DAYS or champion.taxonomy.added_tags:
        said = f"outcomes of {max(0, days)} more days are known; {_LEAST_DAYS} are needed"
        if champion.taxonomy.added_tags:
            said = "the champion holds tags that were added from lists, whose outcomes nobody knows"
        return [Trigger(name, False, said) for name in ("loss", "calibration")]
    found = []
    for instant in (champion.as_of, latest):
        window = builder.build(instant, present)
        said_of_all = champion.model.predict(np.asarray(window.rows), threads=settings.threads)
        active = np.flatnonzero(champion.model.active)
        found.append(quality(window.outcomes[:, active], said_of_all[:, active]))
    return list(worse(*found))
