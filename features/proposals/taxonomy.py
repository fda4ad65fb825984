"""Drafts a taxonomy from a log that has nothing but category codes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import duckdb

from features.days import days_text
from features.log.profile import Profile, departments_of, profile_log
from features.proposals.category_groups import group_categories
from features.proposals.patterns import MOST_COMMON, RAREST, LastWindow, learnable_patterns
from features.taxonomy.rule_nodes import kinds_text
from features.taxonomy.taxonomy import taxonomy_of
from features.taxonomy.toml import taxonomy_toml

Shape = Literal["audience", "categories"]
VERTICALS: Final = 25
ZH: Final = "品类"
_FEWEST_BUYERS: Final = 20
_LONGEST_NAME: Final = 120


def propose(
    events: Any,
    as_of: int,
    *,
    items: Any = None,
    identities: Any = None,
    shape: Shape = "audience",
    size: int = 200,
    horizon_days: int | None = None,
    name: str | None = None,
    timezone: str = "UTC",
) -> str:
    """Draft a taxonomy file.

    Parameters
    ----------
    events
        DuckDB relation of events.
    as_of
        Epoch seconds; only what was known then is looked at.
    items
        DuckDB relation of items; its departments make better groups.
    identities
        DuckDB relation of identities; without it every account is a person.
    shape
        ``audience``: verticals × patterns, filled up with single categories. ``categories``: one tag for each of
        the categories with the most buyers.
    size
        How many tags at most.
    horizon_days
        Length of the outcome window; by default 30, or less on a short log.
    name
        Name of the taxonomy; the shape by default.
    timezone
        The log's time zone.

    Returns
    -------
    str
        TOML with comments, valid as it is.

    Raises
    ------
    LogTooShortError
        The log holds too little.
    TaxonomyError
        The name is no id.
    """
    profile = profile_log(events, as_of)
    departments = {} if items is None else departments_of(items)
    horizon = horizon_days or profile.horizon_days
    content: dict[str, Any] = {"name": name or shape, "version": 1, "horizon_days": horizon}
    rarest = RAREST
    if shape == "categories":
        content |= _categories(profile, departments, size)
    else:
        window = LastWindow.of(profile, events, horizon, identities=identities, timezone=timezone)
        content |= _audience(window, departments, size)
        rarest = window.rarest
    said = horizon_said(profile, horizon_days)
    heading = [*_heading(profile, said, shape, rarest), _command(profile, content, shape, size)]
    text = taxonomy_toml(content, heading)
    taxonomy_of(tomllib.loads(text))
    return text


def slug(text: str, taken: Collection[str] = ()) -> str:
    """Return an id made of a name, with a number behind it where it is taken.

    Examples
    --------
    >>> slug("MILK BY-PRODUCTS"), slug("Milk by-products", {"milk-by-products"}), slug("面膜")
    ('milk-by-products', 'milk-by-products-2', 'category')
    """
    base = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:56].strip("-") or "category"
    number, made = 1, base
    while made in taken:
        number += 1
        made = f"{base}-{number}"
    return made


def readable(code: str, word: str = "Category") -> str:
    """Return a name for a category code; one without any letter is put behind a word.

    Examples
    --------
    >>> readable("FLUID MILK PRODUCTS"), readable(" 50010788 "), readable("37", "品类")
    ('Fluid milk products', 'Category 50010788', '品类 37')
    """
    words = re.sub(r"\s+", " ", code).strip()[:_LONGEST_NAME]
    if not any(letter.isalpha() for letter in words):
        return f"{word} {words}".strip()
    return words.capitalize() if words.isupper() else words


def _categories(profile: Profile, departments: Mapping[str, str], size: int) -> dict[str, Any]:
    chosen = list(_common(profile))[:size]
    groups: dict[str, str] = {"all": ""}
    for department in sorted({departments[code] for code in chosen if code in departments}):
        groups[slug(f"dept {department}", groups)] = department
    of_department = {department: group for group, department in groups.items()}
    ids: dict[str, str] = dict.fromkeys(groups, "")
    verticals = []
    for code in chosen:
        made = slug(code, ids)
        ids[made] = code
        entry = {"id": made, "name": readable(code), "name_zh": readable(code, ZH), "categories": [code]}
        if code in departments:
            entry["parent"] = of_department[departments[code]]
        verticals.append(entry)
    pattern = {
        "id": "buys",
        "tag": "{vertical}",
        "name": "{vertical}",
        "name_zh": "{vertical}",
        "meaning": f"At least one {kinds_text(profile.act)} in {{vertical}} within {{horizon}} days.",
        "rule": f"count({kinds_text(profile.act)}) >= 1",
    }
    named = [
        {"id": group, "name": readable(name), "name_zh": readable(name, ZH)}
        for group, name in groups.items()
        if name
    ]
    return {"group": named, "vertical": verticals, "pattern": [pattern]}


def _audience(window: LastWindow, departments: Mapping[str, str], size: int) -> dict[str, Any]:
    profile = window.profile
    chosen = _common(profile)
    kinds = [duckdb.ConstantExpression(kind) for kind in profile.act]
    acts = window.events.filter(duckdb.ColumnExpression("kind").isin(*kinds))
    groups = group_categories(acts, chosen, departments, max(1, min(VERTICALS, size // 4)))
    verticals: dict[str, dict[str, Any]] = {}
    for codes in groups:
        made = slug(codes[0], {"all", *verticals})
        named, named_zh = (" & ".join(readable(code, word) for code in codes[:2]) for word in ("Category", ZH))
        verticals[made] = {"id": made, "name": named, "name_zh": named_zh, "categories": codes}
    singles: dict[str, dict[str, Any]] = {}
    for code in chosen:
        made = slug(f"only {code}", {*verticals, *singles})
        singles[made] = {"id": made, "name": readable(code), "name_zh": readable(code, ZH), "categories": [code]}
    alone = {codes[0] for codes in groups if len(codes) == 1}
    fillers = [single for single in singles.values() if single["categories"][0] not in alone]
    return learnable_patterns(window, list(verticals.values()), fillers, size)


def _common(profile: Profile) -> dict[str, int]:
    """Return the categories that enough people act in, or all where there is none."""
    common = {code: people for code, people in profile.categories.items() if people >= _FEWEST_BUYERS}
    return common or profile.categories


def _command(profile: Profile, content: Mapping[str, Any], shape: Shape, size: int) -> str:
    moment = datetime.fromtimestamp(profile.as_of, UTC).isoformat(timespec="seconds")
    return (
        f"Made again by: zhongcao taxonomy propose --shape {shape} --as-of {moment} --size {size} "
        f"--horizon-days {content['horizon_days']} --name {content['name']}"
    )


def horizon_said(profile: Profile, given: int | None) -> str:
    """Say how far ahead tags look, why, and how to choose otherwise."""
    span = days_text(profile.span_days)
    if given is not None:
        return f"The log spans {span}; tags look {days_text(given)} ahead, as was asked."
    rhythm = (
        "" if profile.rhythm_days == 1 else f", a multiple of the {profile.rhythm_days} days between its baskets"
    )
    return (
        f"The log spans {span}, so tags look {days_text(profile.horizon_days)} ahead{rhythm}; "
        "--horizon-days N for another horizon."
    )


def _heading(profile: Profile, said: str, shape: Shape, rarest: float) -> list[str]:
    moment = datetime.fromtimestamp(profile.as_of, UTC).isoformat(sep=" ", timespec="minutes")
    lines = [f"A draft from the log as of {moment[:16]} UTC: rename, regroup and prune it.", said]
    if shape == "categories":
        return [*lines, "One tag for each of the categories with the most people, ties by name."]
    return [
        *lines,
        "Categories are grouped by who buys them; a vertical is named after its two largest categories.",
        f"A pattern leaves out the verticals where it came true for less than {rarest:.1%} or more than",
        f"{MOST_COMMON:.0%} of the people in the last window before that moment.",
    ]
