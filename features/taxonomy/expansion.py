"""Verticals × patterns → tags: templates filled, combinations dropped, ids checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from features.errors import TaxonomyError
from features.taxonomy.file import PatternEntry, TagEntry, TaxonomyFile, VerticalEntry
from features.taxonomy.iab import iab_node
from features.taxonomy.rule_parser import EVERYWHERE

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_TAG_ID = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True)
class StoredTag:
    """A tag whose rule is still text; instead of a rule it may have facts of the list that it was learned from."""

    id: str
    name: str
    name_zh: str
    meaning: str
    scope: str
    pattern: str
    rule: str | None
    horizon_days: int
    version: int = 1
    iab: str | None = None
    seeds: dict[str, int] | None = None


def expand(file: TaxonomyFile) -> list[StoredTag]:
    """Return the tags of a file: pattern by pattern over the verticals, then the free ones.

    Raises
    ------
    TaxonomyError
        A template, a number or a list of verticals names what does not exist.
    """
    verticals = [v.id for v in file.vertical]
    patterns = [p.id for p in file.pattern]
    numbers = {name for pattern in file.pattern for name in pattern.numbers}
    for vertical in file.vertical:
        _known(f"vertical {vertical.id}, field numbers: no pattern has it", vertical.numbers, sorted(numbers))
        _known(f"vertical {vertical.id}, field patterns: unknown pattern", vertical.patterns or (), patterns)
    tags = []
    for pattern in file.pattern:
        _known(f"pattern {pattern.id}, field only: unknown vertical", pattern.only or (), verticals)
        _known(f"pattern {pattern.id}, field except: unknown vertical", pattern.excluded, verticals)
        wanted = set(verticals if pattern.only is None else pattern.only) - set(pattern.excluded)
        wanted -= {v.id for v in file.vertical if v.patterns is not None and pattern.id not in v.patterns}
        tags += [_of_pattern(v, pattern, file.horizon_days) for v in file.vertical if v.id in wanted]
    return tags + [_free(tag, file.horizon_days) for tag in file.tag]


def check_ids(
    scopes: list[str],
    verticals: Mapping[str, tuple[str | None, tuple[str, ...]]],
    groups: Collection[str],
    tags: list[StoredTag],
) -> None:
    """Check that ids are unique and that everything that is named exists.

    Raises
    ------
    TaxonomyError
        An id is used twice, or a parent, a scope, a category or an IAB id is wrong.
    """
    _unique("two verticals or groups have the id", [*scopes, EVERYWHERE])
    _unique("two tags have the id", [tag.id for tag in tags])
    for name, (parent, categories) in verticals.items():
        if parent is not None:
            _known(f"vertical {name}, field parent: unknown group", (parent,), groups)
        _unique(f"vertical {name}, field categories: named twice", categories)
        if not categories or "*" in categories:
            raise TaxonomyError(f"vertical {name}, field categories: not category codes", value=list(categories))
    for tag in tags:
        if not _TAG_ID.fullmatch(tag.id):
            raise TaxonomyError("a tag's id is small letters and digits joined by . - or _", value=tag.id)
        _known(f"tag {tag.id}, field within: unknown vertical", (tag.scope,), [EVERYWHERE, *scopes])
        if tag.iab is not None:
            _check_iab(tag.id, tag.iab)
    if not tags:
        raise TaxonomyError("a taxonomy without tags", next_step="add a [[pattern]] or a [[tag]]")


def _of_pattern(vertical: VerticalEntry, pattern: PatternEntry, horizon_days: int) -> StoredTag:
    horizon = pattern.horizon_days or horizon_days
    numbers = {name: vertical.numbers.get(name, value) for name, value in pattern.numbers.items()}
    figures = {name: repr(value) for name, value in numbers.items()}
    words = {"vertical": vertical.name, "horizon": str(horizon), **figures}
    where = f"pattern {pattern.id}, field"
    return StoredTag(
        id=_fill(f"{where} tag", pattern.tag, {"vertical": vertical.id, "pattern": pattern.id}),
        name=_fill(f"{where} name", pattern.name, words),
        name_zh=_fill(f"{where} name_zh", pattern.name_zh, {**words, "vertical": vertical.name_zh}),
        meaning=_fill(f"{where} meaning", pattern.meaning, words),
        scope=vertical.id,
        pattern=pattern.id,
        rule=_fill(f"{where} rule", pattern.rule, {**figures, "horizon": str(horizon)}),
        horizon_days=horizon,
        version=pattern.version,
        iab=pattern.iab or vertical.iab,
    )


def _free(tag: TagEntry, horizon_days: int) -> StoredTag:
    fields = tag.model_dump(exclude={"within"})
    return StoredTag(
        **{**fields, "scope": tag.within, "pattern": "", "horizon_days": tag.horizon_days or horizon_days}
    )


def _fill(where: str, template: str, words: Mapping[str, str]) -> str:
    _known(f"{where}: unknown placeholder", _PLACEHOLDER.findall(template), list(words))
    return _PLACEHOLDER.sub(lambda match: words[match[1]], template)


def _check_iab(tag: str, iab_id: str) -> None:
    try:
        iab_node(iab_id)
    except TaxonomyError as error:
        raise TaxonomyError(
            f"tag {tag}, field iab: {error.problem}", value=iab_id, next_step=error.next_step
        ) from None


def _known(problem: str, names: Iterable[str], valid: Collection[str]) -> None:
    for name in names:
        if name not in valid:
            raise TaxonomyError(problem, value=name, valid=valid)


def _unique(problem: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise TaxonomyError(problem, value=name)
