"""The shape of a taxonomy file: what may stand in it, checked field by field."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, ValidationError

from features.errors import TaxonomyError
from features.named_files import read_named

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=64)]
TagId = Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=128)]
Line = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^\S.*$")]
Days = Annotated[int, Field(strict=True, ge=1, le=366)]
Version = Annotated[int, Field(strict=True, ge=1)]
Numbers = dict[Annotated[str, Field(pattern="^[a-z_]+$")], StrictInt | StrictFloat]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupEntry(_Entry):
    """``[[group]]``: verticals that belong together, as departments of a shop do."""

    id: Slug
    name: Line
    name_zh: Line


class VerticalEntry(_Entry):
    """``[[vertical]]``: a named group of categories."""

    id: Slug
    name: Line
    name_zh: Line
    categories: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    parent: Slug | None = None
    iab: str | None = None
    numbers: Numbers = {}
    patterns: list[Slug] | None = None


class PatternEntry(_Entry):
    """``[[pattern]]``: a behaviour that makes one tag of every vertical."""

    id: Slug
    tag: str = "{vertical}.{pattern}"
    name: Line
    name_zh: Line
    meaning: Line
    rule: str
    numbers: Numbers = {}
    horizon_days: Days | None = None
    version: Version = 1
    iab: str | None = None
    only: list[Slug] | None = None
    excluded: list[Slug] = Field([], alias="except")


class TagEntry(_Entry):
    """``[[tag]]``: a free tag."""

    id: TagId
    name: Line
    name_zh: Line
    meaning: Line
    rule: str
    within: str = "all"
    horizon_days: Days | None = None
    version: Version = 1
    iab: str | None = None


class TaxonomyFile(_Entry):
    """A whole taxonomy file."""

    name: Slug
    version: Version = 1
    horizon_days: Days = 30
    group: list[GroupEntry] = []
    vertical: list[VerticalEntry] = []
    pattern: list[PatternEntry] = []
    tag: list[TagEntry] = []


_ENTRIES: dict[str, type[BaseModel]] = {
    "group": GroupEntry,
    "vertical": VerticalEntry,
    "pattern": PatternEntry,
    "tag": TagEntry,
}


def read_taxonomy_file(path: Path) -> dict[str, Any]:
    """Return the content of a taxonomy file, not yet checked.

    Raises
    ------
    TaxonomyError
        There is no such file, it cannot be read, or it is not TOML.
    """
    text = read_named(path, "taxonomy", TaxonomyError, "zhongcao taxonomy propose --out FILE drafts one")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TaxonomyError("the taxonomy file is not TOML", value=str(path), next_step=str(error)) from error


def check_taxonomy_file(content: dict[str, Any]) -> TaxonomyFile:
    """Check the content of a taxonomy file.

    Raises
    ------
    TaxonomyError
        A field is unknown, missing or out of range: names the entry, the field and the valid ones.

    Examples
    --------
    >>> check_taxonomy_file({"name": "shop", "vertikal": []})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    features.errors.TaxonomyError: unknown field vertikal; valid: name, version, horizon_days, group, ...
    """
    try:
        return TaxonomyFile.model_validate(content)
    except ValidationError as error:
        raise _named(error, content) from None


def _named(error: ValidationError, content: dict[str, Any]) -> TaxonomyError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    model: type[BaseModel] = TaxonomyFile
    entry = ""
    if len(where) > 2 and where[0] in _ENTRIES and where[1].isdigit():
        model = _ENTRIES[where[0]]
        given = content[where[0]][int(where[1])]
        entry = f"{where[0]} {given.get('id', 'number ' + str(int(where[1]) + 1))}, "
        where = where[2:]
    field = ".".join(where)
    valid = [f.alias or name for name, f in model.model_fields.items()]
    if first["type"] == "extra_forbidden":
        return TaxonomyError(f"{entry}unknown field {field}", valid=valid)
    if first["type"] == "missing":
        return TaxonomyError(f"{entry}field {field} is missing", valid=valid)
    return TaxonomyError(f"{entry}field {field}: {first['msg']}", value=first["input"])
