"""Why the best candidates of a request have their probabilities, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from features.errors import RequestError
from serving.histories.note_catalogue import NoteCatalogue
from serving.messages.conversion_schemas import Candidate, CandidateAnswer, ConversionsRequest
from serving.words.impression import explained
from training.conversion.model import ConversionModel

SALE: Final = "ctcvr"
"""Target of a purchase after the click."""


def target_to_explain(asked: ConversionsRequest, targets: Sequence[str]) -> str | None:
    """Return the target whose probabilities are to be explained; None for none.

    Raises
    ------
    RequestError
        The model has no such target.

    Examples
    --------
    >>> person, context = {"platform": "shop", "account": "7"}, {"platform": "red"}
    >>> body = {"person": person, "candidates": ["n1"], "context": context, "explain": True}
    >>> target_to_explain(ConversionsRequest.model_validate(body), ["click", "ctcvr", "cart"])
    'ctcvr'
    """
    if not asked.explain:
        return None
    if asked.explain_target is None:
        return SALE if SALE in targets else targets[-1]
    if asked.explain_target not in targets:
        raise RequestError("the model has no such explain_target", valid=list(targets))
    return asked.explain_target


def explain_best(
    answers: Sequence[CandidateAnswer],
    asked: ConversionsRequest,
    target: str,
    model: Any,
    *,
    rows: NDArray[np.float32],
    notes: NoteCatalogue,
) -> None:
    """Put reasons into the answers of the candidates that are most probable by a target.

    Parameters
    ----------
    answers
        One per candidate.
    asked
        How many candidates and reasons.
    target
        One of the model's.
    model
        A `training.conversion.model.ConversionModel`.
    rows
        The candidates' impression rows, float32 [n, F].
    notes
        What the log knows of notes.
    """
    chances = np.array([answer.probabilities[target] for answer in answers])
    best = np.argsort(-chances, kind="stable")[: asked.explain_top]
    names = [names_of(asked.candidates[place], notes) for place in best.tolist()]
    reasons = explained(cast(ConversionModel, model), rows[best], target, asked.explain_factors, names)
    for place, factors in zip(best.tolist(), reasons, strict=True):
        answers[place].factors = factors


def names_of(candidate: str | Candidate, notes: NoteCatalogue) -> dict[str, str]:
    """Return what a candidate's brand, category and topic are called, as far as the request or the log says it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> notes = NoteCatalogue(pa.table({"note": ["n1"], "brand": ["Acme"], "category": ["tea"]}))
    >>> names_of("n1", notes), names_of(Candidate(note="n1", brand=None, topic="autumn"), notes)
    ({'brand': 'Acme', 'category': 'tea'}, {'category': 'tea', 'topic': 'autumn'})
    """
    [place] = notes.places([candidate if isinstance(candidate, str) else candidate.note])
    names = {"brand": notes.brand[place], "category": notes.category[place], "topic": notes.topic[place]}
    if isinstance(candidate, Candidate):
        names |= {name: getattr(candidate, name) for name in names.keys() & candidate.model_fields_set}
    return {name: said for name, said in names.items() if said is not None}
