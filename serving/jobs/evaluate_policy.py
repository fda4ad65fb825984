"""What a delivery policy would have brought, from the log of the one that delivered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.errors import OverlapError
from features.log.event_log import EventLog
from features.settings import Settings
from serving.jobs.contribution_source import open_tables, period_of
from training.policy.logged import Choices, read_choices
from training.policy.off_policy import METHODS, Estimate, Floats, Overlap, overlap_of, value_of, weights_of
from training.policy.reward_model import expected_rewards
from training.policy.targets import by_score, from_file, uniform
from training.source import present_of
from training.steps import Steps


@dataclass(frozen=True)
class PolicyQuestion:
    """What is to be valued.

    Parameters
    ----------
    policy
        ``uniform``, ``by-score``, or a file, see `training.policy.targets`.
    reward, campaign, most, seed
        As for `training.policy.logged.read_choices`.
    first, last, as_of
        Days of the impressions; only what was known as of an instant counts.
    temperature, explore
        Of ``by-score``.
    clip
        Largest weight, or None.
    """

    policy: str
    reward: str = "click"
    campaign: str | None = None
    first: str | None = None
    last: str | None = None
    as_of: str = "now"
    temperature: float = 1.0
    explore: float = 0.1
    clip: float | None = None
    most: int = 200_000
    seed: int = 7


@dataclass(frozen=True)
class PolicyAnswer:
    """What was found.

    Parameters
    ----------
    question
        What was asked.
    slots, notes, left_out
        What was read.
    brought
        Mean reward of the logged slots.
    overlap
        How far the log can speak for the policy.
    estimates
        By method; empty where it cannot.
    refusal
        Why it cannot.
    """

    question: PolicyQuestion
    slots: int
    notes: int
    left_out: dict[str, int]
    brought: float
    overlap: Overlap
    estimates: dict[str, Estimate]
    refusal: OverlapError | None

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON."""
        return asdict(self.question) | {
            "slots": self.slots,
            "notes": self.notes,
            "left_out": self.left_out,
            "brought": self.brought,
            "overlap": asdict(self.overlap),
            "refused": None if self.refusal is None else str(self.refusal),
            "estimates": {
                name: {key: value for key, value in asdict(found).items() if key not in ("overlap", "method")}
                for name, found in self.estimates.items()
            },
        }


def evaluate_policy(settings: Settings, question: PolicyQuestion, steps: Steps) -> PolicyAnswer:
    """Value a policy by every method."""
    log = EventLog.open(settings)
    known_at = present_of(log, question.as_of)
    start, end = period_of(question.first, question.last, known_at, log.timezone)
    with steps.step("read what was chosen", 1) as advance, open_tables(log) as tables:
        choices = read_choices(
            tables.events,
            tables.identities,
            tables.notes,
            tables.assignments,
            reward=question.reward,
            start=start,
            end=min(end, known_at),
            known_at=known_at,
            timezone=log.timezone,
            campaign=question.campaign,
            most=question.most,
            seed=question.seed,
        )
        advance()
    with steps.step("expect rewards", 1) as advance:
        expected = expected_rewards(
            choices.logged, choices.context, len(choices.notes) + 1, seed=question.seed, threads=settings.threads
        )
        advance()
    target = _beside_others(_target(question, choices, expected[:, :-1]))
    overlap = overlap_of(choices.logged, weights_of(choices.logged, target))
    estimates: dict[str, Estimate] = {}
    refusal = None
    try:
        for method in METHODS:
            estimates[method] = value_of(choices.logged, target, method, expected=expected, clip=question.clip)
    except OverlapError as refused:
        refusal = refused
    return PolicyAnswer(
        question,
        len(choices.logged),
        len(choices.notes),
        choices.left_out,
        float(choices.logged.reward.mean()),
        overlap,
        estimates,
        refusal,
    )


def _target(question: PolicyQuestion, choices: Choices, expected: Floats) -> Floats:
    if question.policy == "uniform":
        return uniform(choices.available)
    if question.policy == "by-score":
        return by_score(expected, choices.available, temperature=question.temperature, explore=question.explore)
    return from_file(Path(question.policy), choices)


def _beside_others(target: Floats) -> Floats:
    """Add the action that stands for notes which the target never shows."""
    return np.column_stack([target, np.zeros(len(target))])
