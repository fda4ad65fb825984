"""What the API answers, as data classes; fields that a newer server adds are left out.

The fields are explained in docs/api.md and in the OpenAPI document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Factor:
    """One reason for a score, in words."""

    words: str
    words_zh: str
    feature: str
    value: float | None
    effect: float


@dataclass(frozen=True, slots=True)
class TagScore:
    """One tag of a person."""

    id: str
    name: str
    name_zh: str
    probability: float
    assigned: bool
    factors: list[Factor] | None = None


@dataclass(frozen=True, slots=True)
class PersonTags:
    """The tags of one person; none, where `status` is ``unknown``."""

    person: dict[str, str]
    status: str
    as_of: int | None
    tags: list[TagScore]
    prediction_id: str | None = None


@dataclass(frozen=True, slots=True)
class TagsAnswer:
    """The tags of people, in the order asked."""

    model: str
    people: list[PersonTags]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """What would follow if the person saw one note."""

    note: str | None
    known: bool
    probabilities: dict[str, float]
    expected_value: float | None
    no_expected_value: str | None
    value: int | None
    value_from: str | None
    factors: list[Factor] | None = None


@dataclass(frozen=True, slots=True)
class ConversionsAnswer:
    """What would follow if one person saw some notes, in the order asked."""

    model: str
    person: dict[str, str]
    known: bool
    as_of: int
    time: int
    window_days: dict[str, float]
    currency: str
    candidates: list[CandidateScore]
    person_as_of: int | None = None
    explained: str | None = None
    prediction_id: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong with one field of an event."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event: ``accepted``, ``duplicate``, ``quarantined`` or ``refused``."""

    verdict: str
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """What became of events, in the order sent."""

    accepted: int
    duplicate: int
    quarantined: int
    refused: int
    verdicts: list[Verdict]
    request_id: str = ""

    def __add__(self, later: EventsAnswer) -> EventsAnswer:
        return EventsAnswer(
            self.accepted + later.accepted,
            self.duplicate + later.duplicate,
            self.quarantined + later.quarantined,
            self.refused + later.refused,
            [*self.verdicts, *later.verdicts],
            later.request_id,
        )


@dataclass(frozen=True, slots=True)
class CatalogueTag:
    """One tag of the serving taxonomy."""

    id: str
    name: str
    name_zh: str
    meaning: str
    scope: str
    kind: str
    horizon_days: int
    version: int
    iab: str | None
    learned: bool
    base_rate: float | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The serving taxonomy, or a page of it; `next` is None once everything is there."""

    model: str
    taxonomy: str
    taxonomy_version: int
    taxonomy_hash: str
    total: int
    tags: list[CatalogueTag]
    next: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class TagLabel:
    """One tag and the lines of its nutrition label."""

    model: str
    tag: CatalogueTag
    label: dict[str, str]
    erased_since: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class OwnTag:
    """A tag as shown to the person it is about."""

    id: str
    name: str
    name_zh: str
    meaning: str
    probability: float
    assigned: bool
    factors: list[Factor]


@dataclass(frozen=True, slots=True)
class OwnTags:
    """Everything that is said about a person, for that person."""

    model: str
    status: str
    as_of: int | None
    tags: list[OwnTag]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class OptOut:
    """Whether somebody is personalised no more."""

    opted_out: bool
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class DeletedTag:
    """A tag that is never inferred again, and how many lines of batch outputs said it."""

    tag: str
    removed: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ErasedPlace:
    """What an erasure did in one place; `removed` is None while it is still to be done."""

    place: str
    removed: int | None
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an erasure; `finished_at` is None while it is under way."""

    id: str
    person: str
    accounts: int
    asked_at: int
    finished_at: int | None
    places: list[ErasedPlace]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Enriched:
    """A bid request as it came back; `status` is ``enriched``, or says why `body` is what was sent."""

    body: bytes
    status: str
    prediction_id: str | None = None
    request_id: str = ""

    @property
    def bid_request(self) -> dict[str, Any]:
        """The bid request, parsed."""
        return dict(json.loads(self.body))


def read(kind: type[Answer], document: Any) -> Answer:
    """Read a JSON value as a data class.

    Raises
    ------
    TypeError, ValueError
        It is not such a value.

    Examples
    --------
    >>> read(Verdict, {"verdict": "accepted", "reasons": [], "new": 1})
    Verdict(verdict='accepted', reasons=[])
    """
    found: Answer = _read(kind, document)
    return found


def _read(kind: Any, value: Any) -> Any:
    if get_origin(kind) is UnionType:
        return None if value is None else _read(get_args(kind)[0], value)
    if get_origin(kind) is list:
        return [_read(get_args(kind)[0], one) for one in value]
    if isinstance(kind, type) and is_dataclass(kind):
        given = dict(value)
        return kind(**{name: _read(of, given[name]) for name, of in _fields(kind) if name in given})
    return value


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))
