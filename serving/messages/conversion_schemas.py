"""What `POST /v1/conversions` takes and gives; unknown fields and non-finite numbers are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from features.events import EARLIEST_TIME
from features.spine import LATEST_INSTANT
from serving.messages.schemas import NO_CONTROL, PERSON_PARTS, FactorAnswer, Someone, Strict

MOST_CANDIDATES: Final = 1000
MOST_EXPLAINED_CANDIDATES: Final = 20
"""Of one request: each costs as much as scoring a thousand."""
MOST_FACTORS: Final = 20
MOST_MINOR_UNITS: Final = 10**15
_BY_ID: Final = "<by id>"
_BY_FEATURES: Final = "<by features>"

Id = Annotated[str, Field(min_length=1, max_length=256, pattern=NO_CONTROL)]
Instant = Annotated[int, Field(ge=EARLIEST_TIME, lt=LATEST_INSTANT)]


class Candidate(Strict):
    """A note that might be shown, by what is known of it.

    With `note`, what is left out is as the log knows the note; what is given wins, null too. `paid` says whether
    somebody would pay for this impression: false leaves out the note's campaign.

    Examples
    --------
    >>> Candidate.model_validate({"note": "n1", "price": 9900}).price
    9900
    """

    note: Id | None = None
    creator: Id | None = None
    topic: Id | None = None
    campaign: Id | None = None
    brand: Id | None = None
    category: Id | None = None
    media: Id | None = None
    paid: bool | None = None
    price: Annotated[int, Field(ge=0, le=MOST_MINOR_UNITS)] | None = None
    published_at: Instant | None = None
    item: Id | None = None

    @model_validator(mode="after")
    def _one_word_on_paid(self) -> Self:
        if self.paid is False and self.campaign is not None:
            raise ValueError("a campaign pays for what it shows: leave the campaign out, or paid")
        return self


class Context(Strict):
    """Where and when the note would be shown, and whether somebody would pay for it.

    `paid` holds for every candidate that says neither `paid` nor `campaign` itself; left out, a note is paid for
    that belongs to a campaign or that the log calls paid.
    """

    platform: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_CONTROL)]
    position: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    time: Instant | None = None
    paid: bool | None = None


def _described_by(candidate: Any) -> str:
    return _BY_FEATURES if isinstance(candidate, (Candidate, dict)) else _BY_ID


AnyCandidate = Annotated[
    Annotated[Id, Tag(_BY_ID)] | Annotated[Candidate, Tag(_BY_FEATURES)], Discriminator(_described_by)
]


class ConversionsRequest(Strict):
    """Body of ``POST /v1/conversions``.

    Examples
    --------
    >>> person, context = {"platform": "shop", "account": "7"}, {"platform": "red"}
    >>> asked = {"person": person, "candidates": ["n1"], "context": context}
    >>> ConversionsRequest.model_validate(asked).candidates
    ['n1']
    """

    person: Someone
    candidates: Annotated[list[AnyCandidate], Field(min_length=1, max_length=MOST_CANDIDATES)]
    context: Context
    window_days: Annotated[float, Field(gt=0, le=3650)] | None = None
    explain: bool = False
    explain_target: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_CONTROL)] | None = None
    explain_top: Annotated[int, Field(ge=1, le=MOST_EXPLAINED_CANDIDATES)] = 5
    explain_factors: Annotated[int, Field(ge=1, le=MOST_FACTORS)] = 5


CONVERSION_PARTS: Final[dict[str, type[Strict]]] = {**PERSON_PARTS, _BY_FEATURES: Candidate, "context": Context}
"""Objects inside the body, see `serving.messages.bodies.parse`."""


NoExpectedValue = Literal["the model has no target ctcvr", "nothing tells the value of a purchase"]


# As plain as `serving.messages.schemas.TagAnswer`, for the same reason.
@dataclass
class CandidateAnswer:
    """What would follow if the person saw the note.

    Parameters
    ----------
    note
        Its id; None where none was given.
    known
        Whether the log knows the note.
    probabilities
        Target → calibrated probability that it follows within the target's window.
    expected_value
        Probability of a purchase after the click × value, minor units; None where one of them is missing.
    no_expected_value
        Why `expected_value` is None; None where it is not.
    value
        What a purchase is worth, minor units; None where nothing tells.
    value_from
        What told: ``price`` of the candidate or of its item, or the mean order of its ``brand and category``, its
        ``category``, its ``brand``, or of ``all``.
    factors
        Strongest reasons for the probability of the target that is explained; None for candidates without.
    """

    note: str | None
    known: bool
    probabilities: dict[str, float]
    expected_value: float | None
    no_expected_value: NoExpectedValue | None
    value: int | None
    value_from: Literal["price", "brand and category", "category", "brand", "all"] | None
    factors: list[FactorAnswer] | None = None


@dataclass(frozen=True, slots=True)
class ConversionsAnswer:
    """Body of the answer to ``POST /v1/conversions``; candidates in the order asked.

    Parameters
    ----------
    model
        Version of the bundle that answered.
    person
        What the caller sent.
    known
        False: nothing is known of the person, and the answer is that of somebody without a history.
    as_of
        Instant of what is known of notes, and of links and consent, epoch seconds.
    person_as_of
        What the person did and had arrived by then is counted, live events included, epoch seconds.
    time
        Instant that is answered for, epoch seconds.
    window_days
        Target → days after the impression within which it counts.
    currency
        ISO 4217 code of the values.
    candidates
        As asked.
    explained
        Target whose probabilities the candidates' factors explain; None where nothing was to be explained.
    prediction_id
        Names the prediction, for the impressions that it leads to.
    """

    model: str
    person: dict[str, Any]
    known: bool
    as_of: int
    person_as_of: int
    time: int
    window_days: dict[str, float]
    currency: str
    candidates: list[CandidateAnswer]
    explained: str | None = None
    prediction_id: str | None = None
