"""The audience taxonomy: verticals × patterns and free tags, expanded into tags with stable ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from features.errors import TaxonomyError
from features.scopes import Scopes
from features.taxonomy.expansion import StoredTag, check_ids, expand
from features.taxonomy.file import (
    GroupEntry,
    TaxonomyFile,
    VerticalEntry,
    check_taxonomy_file,
    read_taxonomy_file,
)
from features.taxonomy.rule_parser import EVERYWHERE
from features.taxonomy.rules import Rule, parse_rule


@dataclass(frozen=True)
class Vertical:
    """A named group of categories.

    Parameters
    ----------
    id
        Stable id; also the name of its scope.
    name, name_zh
        What people read.
    categories
        Category codes.
    parent
        Id of its group; None where it stands alone.
    iab
        IAB Audience Taxonomy 1.1 id.
    """

    id: str
    name: str
    name_zh: str
    categories: tuple[str, ...]
    parent: str | None = None
    iab: str | None = None


@dataclass(frozen=True)
class Group:
    """Verticals that belong together; its scope is all of their categories."""

    id: str
    name: str
    name_zh: str


@dataclass(frozen=True)
class Seeds:
    """A list of people whose likes a tag finds; who they are stays in the home.

    Parameters
    ----------
    people
        How many of them the model knew.
    as_of
        Instant of the features that it was learned from, epoch seconds.
    """

    people: int
    as_of: int


@dataclass(frozen=True)
class Tag:
    """One audience tag: what a person will do in the outcome window, or whom a person is like.

    Parameters
    ----------
    id
        Stable id, ``<vertical>.<pattern>`` where the pattern does not say otherwise.
    name, name_zh, meaning
        What people read.
    scope
        Name of the scope that its rule is measured in.
    pattern
        Id of the pattern that made it; empty for a free tag.
    rule
        What must come true; None for a tag that was learned from a list.
    horizon_days
        Length of the outcome window; 0 without a rule: such a tag says what people are like now.
    version
        Raised when the rule changes its meaning.
    iab
        IAB Audience Taxonomy 1.1 id, where one fits.
    seeds
        The list that it was learned from; None where it has a rule.
    """

    id: str
    name: str
    name_zh: str
    meaning: str
    scope: str
    pattern: str
    rule: Rule | None
    horizon_days: int
    version: int = 1
    iab: str | None = None
    seeds: Seeds | None = None

    @property
    def criterion(self) -> str:
        """What makes it true, as text: the rule, or the list."""
        return f"like a list of {self.seeds.people:,} people" if self.seeds else str(self.rule)


@dataclass(frozen=True)
class Taxonomy:
    """All tags, the verticals they are made of, and the scopes they are measured in.

    Parameters
    ----------
    name, version
        As in its file.
    groups, verticals, tags
        In the order of the file.
    added_verticals, added_tags
        How many of the last verticals and of the last tags were added after the models of all others were trained.
    """

    name: str
    version: int
    groups: tuple[Group, ...]
    verticals: tuple[Vertical, ...]
    tags: tuple[Tag, ...]
    added_verticals: int = 0
    added_tags: int = 0

    @cached_property
    def base(self) -> Taxonomy:
        """The taxonomy without what was added."""
        verticals = self.verticals[: len(self.verticals) - self.added_verticals]
        tags = self.tags[: len(self.tags) - self.added_tags]
        return replace(self, verticals=verticals, tags=tags, added_verticals=0, added_tags=0)

    @cached_property
    def added(self) -> Taxonomy:
        """The taxonomy with no other tags than the added ones; its scopes are the same."""
        return replace(self, tags=self.tags[len(self.tags) - self.added_tags :])

    @cached_property
    def scopes(self) -> Scopes:
        """Every vertical, every group, the scope ``all``, and last the added verticals.

        Groups are as they were trained, without the added verticals.
        """
        if self.added_verticals:
            later = {v.id: v.categories for v in self.verticals[-self.added_verticals :]}
            return Scopes.of({**dict(self.base.scopes.members), **later})
        members = {v.id: v.categories for v in self.verticals}
        for group in self.groups:
            of_group = [c for v in self.verticals if v.parent == group.id for c in v.categories]
            members[group.id] = tuple(dict.fromkeys(of_group))
        members[EVERYWHERE] = ("*",)
        return Scopes.of(members)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """For each scope the number of the scope above it; -1 for ``all``."""
        number = {name: n for n, name in enumerate(self.scopes.names)}
        above = [number[v.parent or EVERYWHERE] for v in self.verticals]
        first = len(above) - self.added_verticals
        return (*above[:first], *(number[EVERYWHERE] for _ in self.groups), -1, *above[first:])

    @cached_property
    def horizon_days(self) -> int:
        """The longest outcome window of its tags."""
        return max(tag.horizon_days for tag in self.tags)

    @cached_property
    def scope_of_tag(self) -> tuple[int, ...]:
        """For each tag the number of the scope that it is measured in."""
        number = {name: n for n, name in enumerate(self.scopes.names)}
        return tuple(number[tag.scope] for tag in self.tags)

    @cached_property
    def _by_id(self) -> dict[str, Tag]:
        return {tag.id: tag for tag in self.tags}

    def tag(self, tag_id: str) -> Tag:
        """Return the tag of that id.

        Raises
        ------
        TaxonomyError
            There is none; names the valid ids.
        """
        if tag_id not in self._by_id:
            near = [known for known in self._by_id if tag_id.partition(".")[0] in known]
            raise TaxonomyError("unknown tag", value=tag_id, valid=near or list(self._by_id))
        return self._by_id[tag_id]

    def to_dict(self) -> dict[str, Any]:
        """Return the taxonomy as JSON values; `from_dict` reads it back."""
        tags = [_tag_document(tag) for tag in self.tags]
        groups = [asdict(g) for g in self.groups]
        added = [self.added_verticals, self.added_tags]
        verticals = [{**asdict(v), "categories": list(v.categories)} for v in self.verticals]
        return {
            "name": self.name,
            "version": self.version,
            "groups": groups,
            "verticals": verticals,
            "tags": tags,
            # Left out where nothing was added, so that such a taxonomy keeps its hash.
            **({"added": added} if any(added) else {}),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Taxonomy:
        """Read what `to_dict` wrote, checking every rule again.

        Raises
        ------
        TaxonomyError
            It is not a taxonomy.
        """
        try:
            content = {"added": (0, 0), **document}
            parts = {name: TypeAdapter(kind).validate_python(content[name]) for name, kind in _PARTS.items()}
        except (KeyError, TypeError, ValidationError) as error:
            raise TaxonomyError(f"not a taxonomy document: {error}") from error
        return _build(**parts)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


_PARTS: dict[str, Any] = {
    "name": str,
    "version": int,
    "groups": list[Group],
    "verticals": list[Vertical],
    "tags": list[StoredTag],
    "added": tuple[NonNegativeInt, NonNegativeInt],
}


def load_taxonomy(path: Path | str) -> Taxonomy:
    """Read a taxonomy file and check all of it.

    Parameters
    ----------
    path
        A TOML file, see ``docs/taxonomy.md``.

    Raises
    ------
    TaxonomyError
        An entry is not valid: names the file, the entry, the field and the valid values.
    RuleError
        A rule is not valid: names the file, the tag, the position and the valid values.
    """
    content = read_taxonomy_file(Path(path))
    try:
        return taxonomy_of(content)
    except TaxonomyError as error:
        raise type(error)(f"{path}: {error}") from error


def taxonomy_of(content: Mapping[str, Any]) -> Taxonomy:
    """Build a taxonomy from the content of a taxonomy file.

    Examples
    --------
    >>> vertical = {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK", "CHEESE"]}
    >>> pattern = {"id": "will-buy", "name": "{vertical}: will buy", "name_zh": "{vertical}:将购买",
    ...            "meaning": "Buys {vertical} within {horizon} days.", "rule": "count(purchase) >= 1"}
    >>> taxonomy = taxonomy_of({"name": "shop", "vertical": [vertical], "pattern": [pattern]})
    >>> taxonomy.tags[0].id, taxonomy.tags[0].meaning, taxonomy.scopes.names, taxonomy.parents
    ('dairy.will-buy', 'Buys Dairy within 30 days.', ('dairy', 'all'), (1, -1))
    """
    return _from_file(check_taxonomy_file(dict(content)))


def _from_file(file: TaxonomyFile) -> Taxonomy:
    return _build(
        name=file.name,
        version=file.version,
        groups=[_group(entry) for entry in file.group],
        verticals=[_vertical(entry) for entry in file.vertical],
        tags=expand(file),
    )


def _group(entry: GroupEntry) -> Group:
    return Group(**entry.model_dump())


def _vertical(entry: VerticalEntry) -> Vertical:
    return Vertical(**{**entry.model_dump(exclude={"numbers", "patterns"}), "categories": tuple(entry.categories)})


def _tag_document(tag: Tag) -> dict[str, Any]:
    document = {field.name: getattr(tag, field.name) for field in fields(tag)}
    document |= {"rule": tag.rule.text if tag.rule else None, "seeds": asdict(tag.seeds) if tag.seeds else None}
    return {name: value for name, value in document.items() if name != "seeds" or value is not None}


def _build(
    *,
    name: str,
    version: int,
    groups: list[Group],
    verticals: list[Vertical],
    tags: list[StoredTag],
    added: tuple[int, int] = (0, 0),
) -> Taxonomy:
    scopes = [*(v.id for v in verticals), *(g.id for g in groups)]
    check_ids(scopes, {v.id: (v.parent, v.categories) for v in verticals}, {g.id for g in groups}, tags)
    checked = [_checked(tag, scopes) for tag in tags]
    return Taxonomy(name, version, tuple(groups), tuple(verticals), tuple(checked), *added)


def _checked(tag: StoredTag, scopes: list[str]) -> Tag:
    if (tag.rule is None) == (tag.seeds is None):
        raise TaxonomyError("a tag has either a rule or a list of seeds", value=tag.id)
    rule = None if tag.rule is None else parse_rule(tag.rule, tag=tag.id, scopes=scopes)
    seeds = None if tag.seeds is None else Seeds(**tag.seeds)
    return Tag(**{**asdict(tag), "rule": rule, "seeds": seeds})
