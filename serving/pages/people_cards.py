"""Cards of some people for the report: their strongest tags, with reasons in words."""

from __future__ import annotations

from typing import Final

import numpy as np

from features.people.identity import load_key
from features.settings import Settings
from serving.consent.log import deleted_tags
from serving.messages.schemas import PersonRef, TagAnswer
from serving.online.choice import open_store
from serving.pages.report import PersonCard, TagLine
from serving.scoring.scorer import Scorer
from training.tags.bundle import Bundle
from training.tags.evaluation import Evaluation

_PEOPLE: Final = 10
_TAGS: Final = 5
_CONSIDERED: Final = 40
_REASONS: Final = 2
SHOWN_DIGITS: Final = 8
"""Of a key, in reports."""


def some_people(settings: Settings, bundle: Bundle, persons: list[str], evaluation: Evaluation) -> list[PersonCard]:
    """Score ten people, spread evenly over all keys, through the very scorer that serves.

    Of each person's most probable tags those are shown that stand out most from everybody, since what everybody
    does says nothing about a person.

    Parameters
    ----------
    settings
        Where the online store and the key lie.
    bundle
        The champion.
    persons
        Keys of everybody in the store.
    evaluation
        Has the share of people for whom each tag came true.
    """
    store = open_store(settings)
    deleted = deleted_tags(settings)
    scorer = Scorer(bundle, store, load_key(settings), deleted_tags=lambda: deleted)
    places = np.unique(np.linspace(0, len(persons) - 1, _PEOPLE).astype(int))
    asked = [PersonRef(person=persons[place]) for place in places]
    answers = scorer.tags(asked, top=_CONSIDERED, explain=True)
    store.close()
    rates = {tag: metrics.positives / metrics.people for tag, metrics in evaluation.per_tag.items()}
    cards = []
    for person, answer in zip(asked, answers, strict=True):
        shown = [tag for tag in answer.tags if tag.assigned] or answer.tags
        lines = [_line(tag, rates.get(tag.id, 0.0)) for tag in shown]
        strongest = sorted(lines, key=lambda line: -(line.times or 0.0))[:_TAGS]
        cards.append(PersonCard(f"{person.person[:SHOWN_DIGITS]}…", strongest))
    return cards


def _line(tag: TagAnswer, rate: float) -> TagLine:
    reasons = [f"{'+' if f.effect > 0 else '−'} {f.words}" for f in (tag.factors or [])[:_REASONS]]
    return TagLine(tag.name, tag.name_zh, tag.probability, tag.probability / rate if rate else None, reasons)
