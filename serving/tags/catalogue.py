"""The serving taxonomy as answers: pages of tags, and the nutrition label of one."""

from __future__ import annotations

import math
from typing import Final

from features.errors import TaxonomyError
from serving.messages.problems import Problem
from serving.messages.tag_schemas import CatalogueAnswer, CatalogueTag, LabelAnswer
from serving.scoring.scorer import ScoringBundle
from serving.tags.nutrition import label_rows

MOST_LISTED: Final = 1000
USUALLY_LISTED: Final = 100
_DIGITS: Final = 6


def catalogue(bundle: ScoringBundle, after: str | None = None, limit: int = USUALLY_LISTED) -> CatalogueAnswer:
    """Return a page of the catalogue.

    Parameters
    ----------
    bundle
        What serves.
    after
        Id of the last tag of the page before; None for the first page.
    limit
        Most tags of the page.

    Raises
    ------
    Problem
        404: no tag has the id `after`, as happens when another taxonomy began to serve between two pages.
    """
    taxonomy = bundle.taxonomy
    start = 0 if after is None else _number(bundle, after) + 1
    end = min(start + limit, len(taxonomy.tags))
    return CatalogueAnswer(
        model=bundle.version,
        taxonomy=taxonomy.name,
        taxonomy_version=taxonomy.version,
        taxonomy_hash=taxonomy.hash,
        total=len(taxonomy.tags),
        tags=[_entry(bundle, number) for number in range(start, end)],
        next=taxonomy.tags[end - 1].id if end < len(taxonomy.tags) else None,
    )


def label(bundle: ScoringBundle, tag_id: str, erased_since: int = 0) -> LabelAnswer:
    """Return a tag with its nutrition label.

    Parameters
    ----------
    bundle
        What serves.
    tag_id
        Id of the tag.
    erased_since
        How many people were erased since the bundle was trained.

    Raises
    ------
    Problem
        404: there is no such tag.
    """
    number = _number(bundle, tag_id)
    rows = label_rows(bundle.taxonomy, bundle.taxonomy.tags[number])
    return LabelAnswer(bundle.version, _entry(bundle, number), dict(rows), erased_since)


def _number(bundle: ScoringBundle, tag_id: str) -> int:
    try:
        return bundle.taxonomy.tags.index(bundle.taxonomy.tag(tag_id))
    except TaxonomyError as error:
        said = "the serving taxonomy has no such tag; GET /v1/tags lists them, from the first page on"
        raise Problem(404, said, kind="no-such-tag") from error


def _entry(bundle: ScoringBundle, number: int) -> CatalogueTag:
    tag, rate = bundle.taxonomy.tags[number], float(bundle.model.base_rates[number])
    return CatalogueTag(
        id=tag.id,
        name=tag.name,
        name_zh=tag.name_zh,
        meaning=tag.meaning,
        scope=tag.scope,
        kind="list" if tag.seeds else "rule",
        horizon_days=tag.horizon_days,
        version=tag.version,
        iab=tag.iab,
        learned=bool(bundle.model.active[number]),
        base_rate=round(rate, _DIGITS) if math.isfinite(rate) else None,
    )
