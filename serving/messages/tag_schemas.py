"""What the routes about tags answer with: the catalogue, one tag's label, and a person's own view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serving.messages.schemas import FactorAnswer


@dataclass(frozen=True, slots=True)
class CatalogueTag:
    """One tag of the serving taxonomy.

    Parameters
    ----------
    id, name, name_zh, meaning
        As in the taxonomy.
    scope
        What it is measured within: a vertical, a group, or ``all``.
    kind
        ``rule``: what people will do; ``list``: whom people are like now.
    horizon_days
        Length of the outcome window; 0 for a list.
    version
        Raised when the tag changes its meaning.
    iab
        Id in the IAB Audience Taxonomy 1.1, where one fits.
    learned
        False: too rare to learn, so it is in no answer.
    base_rate
        Share of people for whom it came true, in the windows that the model knew: what to go by for people of whom
        nothing is known. None where no window told.
    """

    id: str
    name: str
    name_zh: str
    meaning: str
    scope: str
    kind: Literal["rule", "list"]
    horizon_days: int
    version: int
    iab: str | None
    learned: bool
    base_rate: float | None


@dataclass(frozen=True, slots=True)
class CatalogueAnswer:
    """Body of the answer to ``GET /v1/tags``: one page, in the order of the taxonomy.

    Parameters
    ----------
    model
        Version of the bundle that serves.
    taxonomy, taxonomy_version, taxonomy_hash
        Whose tags they are; pages of different hashes do not belong together.
    total
        Tags of all pages.
    tags
        Those of this page.
    next
        What to send as ``after`` for the next page; None on the last.
    """

    model: str
    taxonomy: str
    taxonomy_version: int
    taxonomy_hash: str
    total: int
    tags: list[CatalogueTag]
    next: str | None


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """Body of the answer to ``GET /v1/tags/{tag}``.

    Parameters
    ----------
    model
        Version of the bundle that serves.
    tag
        The tag.
    label
        Its nutrition label: name of a line → what it says, in the order to show.
    erased_since
        How many people were erased since the model was trained, which may have learned from them.
    """

    model: str
    tag: CatalogueTag
    label: dict[str, str]
    erased_since: int


@dataclass(frozen=True, slots=True)
class OwnTag:
    """A tag as shown to the person it is about."""

    id: str
    name: str
    name_zh: str
    meaning: str
    probability: float
    assigned: bool
    factors: list[FactorAnswer]


@dataclass(frozen=True, slots=True)
class OwnTagsAnswer:
    """Body of the answer to ``GET /v1/people/me/tags``: everything that any answer says about the person.

    Parameters
    ----------
    model
        Version of the bundle that answered.
    status
        ``unknown``: nothing is known of this account, or its person withdrew consent.
    as_of
        Instant of the features behind the answer, epoch seconds; None where unknown.
    tags
        Assigned ones first, then most probable first; empty where unknown.
    """

    model: str
    status: Literal["known", "unknown"]
    as_of: int | None
    tags: list[OwnTag]
