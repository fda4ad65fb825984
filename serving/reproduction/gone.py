"""What a prediction was made from may be gone: people were erased, or a bundle or the log was deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from features.erasure.erasures import receipts
from features.errors import EventLogError, PredictionLogError
from features.log.event_log import EventLog
from features.settings import Settings
from serving.predictions.record import Prediction
from training.bundles.manifest import MANIFEST


class GoneError(PredictionLogError):
    """A prediction cannot be computed again, since something that it was made from is not there any more."""


def bundle_of(settings: Settings, kept: Prediction) -> Path:
    """Return the folder of the bundle that a prediction was made with.

    Raises
    ------
    GoneError
        It is not there any more, or another one has its name.
    """
    folder = settings.bundles_dir / kept.origin.model
    try:
        found = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise GoneError("the bundle that made it is gone", value=kept.origin.model) from error
    if kept.origin.manifest not in ("", found):
        raise GoneError("the bundle that made it was replaced: its manifest is another", value=kept.origin.model)
    return folder


def check_version(log: EventLog, table: str, version: int, kept: Prediction) -> None:
    """Make sure that a version of one of the log's tables is there, and is the one that a prediction was made from.

    Raises
    ------
    GoneError
        It is gone, because people were erased or the log was deleted.
    """
    target = log.log_table(table)
    try:
        target.files(version)
    except EventLogError as error:
        raise GoneError(f"{error.problem}{_erased_since(log.settings, kept)}", value=version) from error
    committed = {int(entry["version"]): int(entry["committed_at"]) for entry in target.history()}
    if committed.get(version, 0) > kept.made_at + 1:
        raise GoneError("the log was imported anew since", value=f"version {version} of {table}")


def _erased_since(settings: Settings, kept: Prediction) -> str:
    many = sum(one.asked_at >= kept.made_at for one in receipts(settings))
    return f" ({many} erasure{'' if many == 1 else 's'} since the prediction)" if many else ""
