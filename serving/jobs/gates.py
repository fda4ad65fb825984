"""The two gates of a retraining: nothing is learned from bad data, and no worse model is promoted."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.errors import LogTooShortError, TrainingError
from features.log.event_log import EventLog
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.jobs.promotion import champion_of, compared
from training.bundles.manifest import Kind
from training.gates.acceptance import Acceptance, accepted
from training.gates.data import check_data
from training.source import LogSource
from training.steps import Steps


def data_report(
    log: EventLog, taxonomy: Taxonomy, present: int, accept: Sequence[str] = (), why: str = "", *, version: int
) -> dict[str, Any]:
    """Return the report of the data checks as JSON takes it; accepted checks warn."""
    verticals = {vertical.id: vertical.categories for vertical in taxonomy.verticals}
    report = check_data(log, present, version=version, verticals=verticals)
    now = int(time.time())
    return accepted(report, [Acceptance(name, getpass.getuser(), why, now) for name in accept]).as_dict()


def verdict_of(
    settings: Settings, challenger: Path, kind: Kind, *, present: int, source: LogSource, steps: Steps
) -> dict[str, Any]:
    """Compare a challenger with the champion; it is not promoted where nothing can be compared yet."""
    champion = champion_of(settings, kind)
    try:
        verdict = compared(
            settings, champion, challenger, kind,
            present=present, steps=steps, version=source.version, source=source,
        )  # fmt: skip
    except (LogTooShortError, TrainingError) as error:
        return {"promote": False, "reason": str(error), "champion": champion.name if champion else None}
    return verdict.as_dict() | {"champion": champion.name if champion else None}
