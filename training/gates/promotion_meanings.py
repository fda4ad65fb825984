"""Which tags of two bundles can be compared: those that both learned and that mean the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.gates.check import Check, Status
from training.tags.bundle import Bundle


def common_tags(champion: Bundle, challenger: Bundle) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of these tags in the champion and in the challenger, in the challenger's order.

    Raises
    ------
    TrainingError
        There is none.
    """
    theirs = _meanings(champion)
    pairs = [(theirs[meaning], number) for meaning, number in _meanings(challenger).items() if meaning in theirs]
    if not pairs:
        raise TrainingError(
            "the two models have no tag in common that means the same",
            value=(champion.version, challenger.version),
            next_step="if the new taxonomy is meant: zhongcao promote RUN --force --because TEXT",
        )
    before, after = np.array(pairs, np.int64).T
    return before, after


def lost_tags(champion: Bundle, challenger: Bundle) -> Check:
    """Check that tags which people are assigned did not get lost; those that left the taxonomy are only told."""
    ours = {challenger.taxonomy.tags[number].id for number in np.flatnonzero(challenger.model.active)}
    known = {tag.id for tag in challenger.taxonomy.tags}
    assigned = np.flatnonzero(champion.model.active & (champion.model.assign_at < 1))
    gone = [tag for tag in (champion.taxonomy.tags[number].id for number in assigned) if tag not in ours]
    unlearned = [tag for tag in gone if tag in known]
    status: Status = "FAIL" if unlearned else "WARN" if gone else "PASS"
    said = f"{len(gone)} of {len(assigned)} assigned tags are missing, {len(unlearned)} for too few outcomes"
    step = "train on more windows, or take these tags out of the taxonomy" if unlearned else ""
    return Check("lost-tags", status, said, len(gone), tuple(unlearned or gone), next_step=step)


def _meanings(bundle: Bundle) -> dict[tuple[str, ...], int]:
    members = dict(bundle.taxonomy.scopes.members)
    return {
        (tag.id, tag.criterion, f"{tag.horizon_days} {tag.version}", *members[tag.scope]): number
        for number, tag in enumerate(bundle.taxonomy.base.tags)
        if bundle.model.active[number] and tag.rule is not None
    }
