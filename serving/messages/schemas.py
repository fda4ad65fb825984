"""What the prediction API takes and gives; unknown fields and non-finite numbers are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

MOST_PEOPLE: Final = 1000
MOST_TAGS: Final = 1000
MOST_EXPLAINED: Final = 1000
"""(person, tag) pairs that one request may have explained: each costs as much as scoring many people."""

NO_CONTROL: Final = r"^[^\x00-\x1f\x7f]+$"


PERSON_PATTERN: Final = "^[0-9a-f]{32}$"
"""Of the pseudonymous keys of people."""

TAG_PATTERN: Final = "^[a-z0-9._-]{1,256}$"
"""Of the ids of tags."""


class Strict(BaseModel):
    """A body, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AccountRef(Strict):
    """A person named by an account on a platform, in the caller's own ids."""

    platform: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_CONTROL)]
    account: Annotated[str, Field(min_length=1, max_length=256, pattern=NO_CONTROL)]


class PersonRef(Strict):
    """A person named by the pseudonymous key that zhongcao made."""

    person: Annotated[str, Field(pattern=PERSON_PATTERN)]


_BY_ACCOUNT: Final = "<by account>"
_BY_KEY: Final = "<by key>"


def _named_by(someone: Any) -> str:
    by_key = isinstance(someone, PersonRef) or (isinstance(someone, dict) and "person" in someone)
    return _BY_KEY if by_key else _BY_ACCOUNT


Someone = Annotated[
    Annotated[AccountRef, Tag(_BY_ACCOUNT)] | Annotated[PersonRef, Tag(_BY_KEY)], Discriminator(_named_by)
]
"""A person, by account or by key; told apart first, so that faults are those of the way that was meant."""
PERSON_PARTS: Final[dict[str, type[Strict]]] = {_BY_ACCOUNT: AccountRef, _BY_KEY: PersonRef}
"""Objects inside a body that names people, see `serving.messages.bodies.parse`."""


class TagsRequest(Strict):
    """Body of ``POST /v1/tags``.

    Examples
    --------
    >>> TagsRequest.model_validate({"people": [{"platform": "shop", "account": "7"}], "top": 3}).top
    3
    """

    people: Annotated[list[Someone], Field(min_length=1, max_length=MOST_PEOPLE)]
    top: Annotated[int, Field(ge=1, le=MOST_TAGS)] = 20
    min_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    explain: bool = False

    @model_validator(mode="after")
    def _explain_few(self) -> Self:
        if self.explain and len(self.people) * self.top > MOST_EXPLAINED:
            raise ValueError(f"with explain, people × top may be {MOST_EXPLAINED} at most; lower one of them")
        return self


# Answers are plain data classes: orjson writes them many times faster than pydantic models.


@dataclass(frozen=True, slots=True)
class FactorAnswer:
    """One reason for a score, in words.

    Parameters
    ----------
    words, words_zh
        What people read.
    feature
        Name of the feature.
    value
        Its value; None where it is missing, which can be a reason too.
    effect
        On the log odds of the tag: positive raises the probability.
    """

    words: str
    words_zh: str
    feature: str
    value: float | None
    effect: float


# Neither frozen nor with slots: hundreds are in an answer, and a plain one is made five times faster and written by
# orjson three times faster.
@dataclass
class TagAnswer:
    """One tag of a person: calibrated probability, and whether it is high enough to be assigned."""

    id: str
    name: str
    name_zh: str
    probability: float
    assigned: bool
    factors: list[FactorAnswer] | None


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """The tags of one person, most probable first.

    Parameters
    ----------
    person
        What the caller sent.
    status
        ``unknown``: the store holds nothing about them, and nothing is made up.
    as_of
        Instant of the features behind the answer, epoch seconds; None where unknown.
    tags
        Empty where unknown.
    prediction_id
        Names the prediction, for the impressions that it leads to; None where nothing is predicted.
    """

    person: dict[str, Any]
    status: Literal["known", "unknown"]
    as_of: int | None
    tags: list[TagAnswer]
    prediction_id: str | None = None


@dataclass(frozen=True, slots=True)
class TagsAnswer:
    """Body of the answer to ``POST /v1/tags``; people in the order asked."""

    model: str
    people: list[PersonAnswer]
