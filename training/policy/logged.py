"""Choices that delivery logged with their probabilities, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.events import ASSIGNMENTS
from features.impressions.responses import TARGETS, responses
from features.impressions.table import Impressions, read_impressions
from features.joins import relation_of
from features.small_tables import codes_of, columns_of
from training.policy.off_policy import Ints, Logged

Flags = NDArray[np.bool_]
_CHOSEN: Final = "kind = 'impression' and propensity > 0"
_HABITS_DAYS: Final = 28
_CATEGORIES: Final = 12
_HABITS: Final = """
select account, category, count(*) as clicks from events_
where kind = 'click' and category is not null and event_time >= {since} and event_time < {start}
    and arrived_at <= {start}
group by all
"""


@dataclass(frozen=True)
class Choices:
    """Slots that a policy filled, and what it chose from.

    Parameters
    ----------
    logged
        n choices; actions are places in `notes`, and ``len(notes)`` stands for any note that is none of them.
    notes
        What a target policy may show.
    available
        Whether a note was shown to anybody on the slot's day [n, notes].
    context
        What was known before: platform, position, hour, day of the week, and clicks in the commonest categories
        within 28 days before the first slot, float32 [n, F].
    event_ids
        Of the impressions [n].
    left_out
        Why slots are not among them, and how many.
    """

    logged: Logged
    notes: tuple[str, ...]
    available: Flags
    context: NDArray[np.float32]
    event_ids: pa.Array
    left_out: dict[str, int]


def read_choices(
    events: Any,
    identities: Any | None,
    notes: Any,
    assignments: Any | None,
    *,
    reward: str,
    start: int,
    end: int,
    known_at: int,
    timezone: str,
    campaign: str | None = None,
    most: int = 200_000,
    seed: int = 7,
) -> Choices:
    """Read the impressions that a policy chose with a known probability.

    Parameters
    ----------
    events, identities, notes, assignments
        Canonical tables.
    reward
        One of `features.impressions.responses.TARGETS`, within its usual window; impressions whose window was not
        over by `known_at` are left out.
    start, end
        Impressions in [start, end), epoch seconds.
    known_at
        Only what had arrived by then is read.
    timezone
        The log's time zone.
    campaign
        Value policies that show this campaign's notes alone; without it, all notes.
    most
        Read persons drawn by lot until they have so many slots.
    seed
        Of that lot.

    Raises
    ------
    TrainingError
        The reward is none, or no impression is left.

    Notes
    -----
    Who is held out of a campaign whose notes a target shows is left out as a person, whatever was shown: leaving
    only those slots out that the hold-out took away would choose rows by what was drawn for them.
    """
    if reward not in TARGETS:
        raise TrainingError("no such reward", value=reward, valid=TARGETS)
    relation = relation_of(events)
    chosen = relation.filter(_CHOSEN)
    shown = read_impressions(chosen, identities, notes, start=start, end=end, known_at=known_at, timezone=timezone)
    withheld = _withheld(chosen, shown, start, end)
    names, action, day = _actions(shown, withheld, campaign)
    available = np.zeros((int(day.max(initial=0)) + 1, len(names)), bool)
    own = action < len(names)
    available[day[own], action[own]] = True
    left_out: dict[str, int] = {}
    kept = np.ones(len(shown), bool)

    def leave(reason: str, gone: Flags) -> None:
        nonlocal kept
        if (kept & gone).any():
            left_out[reason] = int((kept & gone).sum())
        kept = kept & ~gone

    leave("no note of it was shown that day", np.asarray(~available[day].any(axis=1)))
    leave("people held out", _held(shown, withheld, assignments, campaign))
    found = shown.take(np.flatnonzero(kept))
    drawn = _drawn(found, most, seed)
    if len(drawn) < len(found):
        left_out["people not drawn"] = len(found) - len(drawn)
    rows = np.flatnonzero(kept)[drawn]
    found = shown.take(rows)
    answers = responses(events, identities, found, span=(start, end))
    column = TARGETS.index(reward)
    mature = np.flatnonzero(answers.mature(known_at)[:, column])
    if len(mature) < len(found):
        left_out["their window was not over"] = len(found) - len(mature)
    if not len(mature):
        raise TrainingError(
            "no impression that a policy chose with a known probability is left",
            value=f"{len(shown)} read, left out: {left_out}",
            next_step="name an earlier or longer stretch, another campaign, or log propensities",
        )
    found, rows = found.take(mature), rows[mature]
    person, _ = codes_of(found.table, "person")
    return Choices(
        Logged(
            action[rows],
            np.asarray(found.table["propensity"], np.float64),
            answers.labels(known_at)[mature, column].astype(np.float64),
            person.astype(np.int64),
        ),
        names,
        available[day[rows]],
        _context(relation, found, start),
        found.table["event_id"].combine_chunks(),
        left_out,
    )


def _withheld(chosen: duckdb.DuckDBPyRelation, shown: Impressions, start: int, end: int) -> pa.Array:
    """Return the campaign in whose place each impression is a house ad, null for none."""
    told = chosen.filter(
        f"event_time >= {int(start)} and event_time < {int(end)} and starts_with(policy, 'hold_out:')"
    )
    table = told.project("event_id, substr(policy, 10) as campaign").to_arrow_table()
    at = pc.index_in(shown.table["event_id"].combine_chunks(), table["event_id"].combine_chunks())
    return table["campaign"].combine_chunks().cast(pa.string()).take(at)


def _actions(shown: Impressions, withheld: pa.Array, campaign: str | None) -> tuple[tuple[str, ...], Ints, Ints]:
    """Return the notes that a target may show, each row's place among them, and each row's day, numbered."""
    table = shown.table
    own = np.asarray(pc.is_null(withheld))
    if campaign is not None:
        own &= np.asarray(pc.fill_null(pc.equal(table["campaign"], campaign), False))
    note = table["note"].combine_chunks().cast(pa.string())
    names = sorted(set(note.filter(pa.array(own)).to_pylist()))
    if not names:
        raise TrainingError(
            "no impression of a campaign's notes has a propensity",
            value=campaign or "all campaigns",
            valid=sorted({name for name in pc.unique(table["campaign"]).to_pylist() if name})[:10],
            next_step="log the probability of every choice as the impression's propensity",
        )
    place = pc.fill_null(pc.index_in(note, pa.array(names, pa.string())), len(names))
    _, day = np.unique(np.asarray(table["day"]).astype("datetime64[D]"), return_inverse=True)
    return tuple(names), np.where(own, np.asarray(place), len(names)).astype(np.int64), day.astype(np.int64)


def _held(shown: Impressions, withheld: pa.Array, assignments: Any | None, campaign: str | None) -> Flags:
    """Return whether a row's person is held out of what a target may show."""
    said = columns_of(assignments, ASSIGNMENTS, ["campaign", "account", "arm"])
    gone = pc.equal(said["arm"], "hold_out")
    seen = pc.is_valid(withheld)
    if campaign is not None:
        gone = pc.and_(gone, pc.equal(said["campaign"], campaign))
        seen = pc.and_(seen, pc.fill_null(pc.equal(withheld, campaign), False))
    accounts = shown.table["account"].combine_chunks()
    theirs = said.filter(gone)["account"].combine_chunks().cast(accounts.type)
    rows = pc.or_(pc.is_in(accounts, theirs), seen)
    persons = shown.table["person"].combine_chunks()
    return np.asarray(pc.is_in(persons, pc.unique(persons.filter(rows))), bool)


def _drawn(found: Impressions, most: int, seed: int) -> NDArray[np.intp]:
    """Return the rows of as many persons, in an order by lot, as have `most` rows together."""
    codes, names = codes_of(found.table, "person")
    lot = np.random.default_rng(seed).permutation(len(names))
    rows = np.cumsum(np.bincount(codes, minlength=len(names))[lot])
    return np.flatnonzero(np.isin(codes, lot[: max(1, int((rows <= most).sum()))]))


def _context(relation: duckdb.DuckDBPyRelation, found: Impressions, start: int) -> NDArray[np.float32]:
    table, times = found.table, found.times
    platform, _ = codes_of(table, "platform")
    position = np.asarray(table["position"].cast(pa.float64()).fill_null(-1))
    hour, weekday = times // 3600 % 24, times // DAY_SECONDS % 7
    habits = relation.query(
        "events_", _HABITS.format(since=int(start) - _HABITS_DAYS * DAY_SECONDS, start=int(start))
    ).to_arrow_table()
    category, names = codes_of(habits, "category")
    clicks = np.asarray(habits["clicks"], np.float64)
    commonest = np.argsort(-np.bincount(category, clicks, len(names)), kind="stable")[:_CATEGORIES]
    accounts = pc.unique(table["account"].combine_chunks())
    row = pc.index_in(table["account"].combine_chunks(), accounts)
    owner = pc.fill_null(pc.index_in(habits["account"].combine_chunks().cast(accounts.type), accounts), -1)
    counts = np.zeros((len(accounts), len(names)))
    here = np.asarray(owner) >= 0
    np.add.at(counts, (np.asarray(owner)[here], category[here]), clicks[here])
    return np.column_stack([platform, position, hour, weekday, counts[np.asarray(row)][:, commonest]]).astype(
        np.float32
    )
