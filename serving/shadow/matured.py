"""How good both models turned out to be, of the predictions of which it is known by now what came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from features.days import DAY_SECONDS
from features.impressions.responses import TARGETS, responses
from features.impressions.table import read_impressions
from features.log.event_log import EventLog
from features.people.population import population
from features.rows.outcomes import outcomes
from features.settings import Settings
from features.spine import ACCOUNTS_SCHEMA, assemble
from serving.live.parity import thresholds_of
from serving.online.backfill import linked_accounts
from serving.online.live_rows import RowFacts
from serving.predictions.ids import made_at
from serving.shadow.kept_scores import Scored
from training.conversion.bundle import load_conversion_bundle
from training.quality.metrics import expected_calibration_error, log_loss
from training.tags.bundle import load_bundle

_LEAST: Final = 20
"""Outcomes, and as many of either kind at least as one: of fewer, nothing is said."""


@dataclass
class _Found:
    """Outcomes of one tag or target, and what both models said before."""

    labels: list[int] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, Any]:
        labels = np.array(self.labels, np.uint8)
        found: dict[str, Any] = {"name": name, "outcomes": len(labels), "came_true": int(labels.sum())}
        for side, said in (("champion", self.theirs), ("challenger", self.ours)):
            scores = np.array(said, np.float64)
            enough = len(labels) >= _LEAST
            found[side] = {
                "said": float(scores.mean()) if len(scores) else None,
                "log_loss": log_loss(labels, scores) if enough else None,
                "ece": expected_calibration_error(labels, scores) if enough else None,
            }
        return found


def matured_tags(settings: Settings, challenger: str, kept: Sequence[Scored], present: int) -> list[dict[str, Any]]:
    """Return a row of figures per tag whose outcome window is over for some predictions.

    Parameters
    ----------
    settings
        Where log and bundles lie.
    challenger
        Name of the bundle.
    kept
        Predictions of both.
    present
        What arrived later is not looked at, epoch seconds.
    """
    taxonomy = load_bundle(settings.bundles_dir / challenger).taxonomy
    number = {tag.id: n for n, tag in enumerate(taxonomy.tags)}
    horizons = {tag.id: tag.horizon_days for tag in taxonomy.tags if tag.rule}
    shortest = min(horizons.values(), default=0) * DAY_SECONDS
    known = [one for one in kept if one.person is not None and one.as_of + shortest <= present]
    found: dict[str, _Found] = {}
    log = EventLog.open(settings)
    con = log.connect()
    events, identities = log.events(con), log.table(con, "identities")
    for filled_at in sorted({one.filled_at for one in known}):
        mine = [one for one in known if one.filled_at == filled_at]
        everybody = population(events, identities, [filled_at], log.timezone)
        facts = RowFacts.fitted(taxonomy, events, everybody, filled_at, None)
        instants = np.array([one.as_of for one in mine], np.int64)
        accounts = _accounts([str(one.person) for one in mine], linked_accounts(identities, filled_at, []))
        persons = pa.array([str(n) for n in range(len(mine))])
        spine = assemble(persons, instants, accounts, log.timezone, present)
        came_true = outcomes(taxonomy, events, spine, thresholds_of(facts, instants))
        for one, truths in zip(mine, came_true, strict=True):
            for place, name in enumerate(one.names):
                days = horizons.get(name)
                if days is not None and one.as_of + days * DAY_SECONDS <= present:
                    _note(found, name, int(truths[number[name]]), one.theirs[0, place], one.ours[0, place])
    con.close()
    return [found[name].figures(name) for name in sorted(found)]


def matured_conversions(
    settings: Settings, challenger: str, kept: Sequence[Scored], present: int
) -> list[dict[str, Any]]:
    """Return a row of figures per target, of impressions that named the prediction that they came of; see above."""
    if not kept:
        return []
    windows = {
        target: int(days * DAY_SECONDS)
        for target, days in load_conversion_bundle(settings.bundles_dir / challenger).model.window_days.items()
    }
    log = EventLog.open(settings)
    con = log.connect()
    events, identities, notes = log.events(con), log.table(con, "identities"), log.table(con, "notes")
    start = min(made_at(one.id) for one in kept)
    shown = read_impressions(
        events, identities, notes, start=start, end=max(present, start + 1), known_at=present, timezone=log.timezone
    )
    answered = responses(events, identities, shown, windows=windows)
    labels, mature = answered.labels(present), answered.mature(present)
    of = {one.id: one for one in kept}
    found: dict[str, _Found] = {}
    pairs = zip(*(shown.table[name].to_pylist() for name in ("prediction_id", "note")), strict=True)
    for row, (prediction, note) in enumerate(pairs):
        one = of.get(prediction)
        if one is None or note not in one.rows:
            continue
        candidate = one.rows.index(note)
        for place, name in enumerate(one.names):
            target = TARGETS.index(name) if name in TARGETS else -1
            if target >= 0 and mature[row, target]:
                said = one.theirs[candidate, place], one.ours[candidate, place]
                _note(found, name, int(labels[row, target]), *said)
    con.close()
    return [found[name].figures(name) for name in sorted(found)]


def _note(found: dict[str, _Found], name: str, label: int, theirs: float, ours: float) -> None:
    if not (np.isnan(theirs) or np.isnan(ours)):
        of = found.setdefault(name, _Found())
        of.labels.append(label)
        of.theirs.append(float(theirs))
        of.ours.append(float(ours))


def _accounts(persons: Sequence[str], linked: dict[str, str]) -> pa.Table:
    """Return which accounts each of the spine's rows has."""
    owned: dict[str, list[str]] = {}
    for account, person in linked.items():
        owned.setdefault(person, []).append(account)

    rows, names = list[int](), list[str]()
    for row, person in enumerate(persons):
        mine = [*owned.get(person, []), *([] if person in linked else [person])]
        rows += [row] * len(mine)
        names += mine
    return pa.table([rows, names], schema=ACCOUNTS_SCHEMA)
