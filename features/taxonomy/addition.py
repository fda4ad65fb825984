"""Tags that are added to a taxonomy whose models are trained: from a fragment of a taxonomy file, or a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from features.errors import TaxonomyError
from features.named_files import read_named
from features.taxonomy.file import check_taxonomy_file, read_taxonomy_file
from features.taxonomy.rule_parser import EVERYWHERE
from features.taxonomy.rules import Rule, quantile_measurements
from features.taxonomy.taxonomy import Seeds, Tag, Taxonomy, Vertical, load_taxonomy

_TABLES: Final = ("vertical", "tag")


def read_fragment(path: Path) -> dict[str, Any]:
    """Read a fragment of a taxonomy file.

    Raises
    ------
    TaxonomyError
        It is no TOML file, or has something else than verticals and tags.
    """
    content = read_taxonomy_file(path)
    other = [name for name in content if name not in _TABLES]
    if other:
        raise TaxonomyError(
            f"{path} has more than what can be added to trained models",
            value=other[0],
            valid=[f"[[{name}]]" for name in _TABLES],
            next_step="put the rest into the taxonomy file and run `zhongcao retrain`",
        )
    if not content.get("tag"):
        raise TaxonomyError(f"{path} has no [[tag]] to add")
    return content


def added_tags(taxonomy: Taxonomy, fragment: Mapping[str, Any]) -> Taxonomy:
    """Return the taxonomy with a fragment's verticals and tags after its own.

    Verticals and tags that are there already, with the same content, are left as they are.

    Parameters
    ----------
    taxonomy
        Of the trained models.
    fragment
        Content of a file with the tables ``[[vertical]]`` and ``[[tag]]``, see ``docs/new-tags.md``.

    Raises
    ------
    TaxonomyError
        A vertical or tag with that id and another content is there, a horizon is longer than the taxonomy's, or the
        fragment names a vertical, group or field that does not exist.

    Examples
    --------
    >>> from features.taxonomy.taxonomy import taxonomy_of
    >>> vertical = {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK"]}
    >>> tag = {"id": "dairy.buys", "name": "Buys", "name_zh": "购买", "meaning": "Buys.", "within": "dairy",
    ...        "rule": "count(purchase) >= 1"}
    >>> shop = taxonomy_of({"name": "shop", "vertical": [vertical], "tag": [tag]})
    >>> more = added_tags(shop, {"tag": [tag, {**tag, "id": "dairy.heavy", "rule": "count(purchase) >= 3"}]})
    >>> [tag.id for tag in more.tags], more.added_tags, more.base == shop
    (['dairy.buys', 'dairy.heavy'], 1, True)
    """
    file = check_taxonomy_file({"name": taxonomy.name, "horizon_days": taxonomy.horizon_days, **fragment})
    known = {vertical.id: vertical for vertical in taxonomy.verticals}
    given = [
        Vertical(**{**entry.model_dump(exclude={"numbers", "patterns"}), "categories": tuple(entry.categories)})
        for entry in file.vertical
    ]
    verticals = [vertical for vertical in given if _new("vertical", vertical.id, vertical, known)]
    whole = replace(
        taxonomy,
        verticals=(*taxonomy.verticals, *verticals),
        added_verticals=taxonomy.added_verticals + len(verticals),
    )
    free = {tag.id: tag for tag in taxonomy.tags}
    document = whole.to_dict()
    fresh = []
    for entry in file.tag:
        horizon = entry.horizon_days or taxonomy.horizon_days
        if horizon > taxonomy.horizon_days:
            raise TaxonomyError(
                f"tag {entry.id}, field horizon_days: longer than the outcome windows of the models",
                value=horizon,
                valid=[f"1 to {taxonomy.horizon_days}"],
                next_step="put the tag into the taxonomy file and run `zhongcao retrain`",
            )
        stored = {**entry.model_dump(exclude={"within"}), "scope": entry.within, "horizon_days": horizon}
        stored |= {"pattern": free[entry.id].pattern if entry.id in free else ""}
        alone = Taxonomy.from_dict({**document, "tags": [stored], "added": [whole.added_verticals, 0]}).tags[0]
        if _new("tag", entry.id, alone, free):
            fresh.append(stored)
    added = [whole.added_verticals, whole.added_tags + len(fresh)]
    return Taxonomy.from_dict({**document, "tags": [*document["tags"], *fresh], "added": added})


def _new(what: str, name: str, given: object, known: Mapping[str, object]) -> bool:
    if name in known and known[name] != given:
        raise TaxonomyError(
            f"there is another {what} with that id",
            value=name,
            next_step="choose another id; `zhongcao tags remove` takes added tags away, others are changed in the "
            "taxonomy file",
        )
    return name not in known


def added_seed_tag(taxonomy: Taxonomy, entry: Mapping[str, str], seeds: Seeds) -> Taxonomy:
    """Return the taxonomy with a tag that is learned from a list after its own.

    Parameters
    ----------
    taxonomy
        Of the trained models.
    entry
        The tag's id, name, name_zh and meaning.
    seeds
        Facts of the list.

    Raises
    ------
    TaxonomyError
        The id is taken, or a text is not allowed.
    """
    checked = check_taxonomy_file({"name": taxonomy.name, "tag": [{**entry, "rule": ""}]}).tag[0]
    if checked.id in {tag.id for tag in taxonomy.tags}:
        raise TaxonomyError(
            "there is a tag with that id",
            value=checked.id,
            next_step="choose another id, or take that tag away with `zhongcao tags remove`",
        )
    tag = Tag(checked.id, checked.name, checked.name_zh, checked.meaning, EVERYWHERE, "", None, 0, seeds=seeds)
    return replace(taxonomy, tags=(*taxonomy.tags, tag), added_tags=taxonomy.added_tags + 1)


def without_tag(taxonomy: Taxonomy, tag_id: str) -> Taxonomy:
    """Return the taxonomy without an added tag, and without an added vertical that no tag needs any more.

    Raises
    ------
    TaxonomyError
        There is no such tag, or it was not added.
    """
    gone = taxonomy.tag(tag_id)
    later = taxonomy.tags[len(taxonomy.tags) - taxonomy.added_tags :]
    if gone not in later:
        raise TaxonomyError(
            "the tag was trained with all others and cannot be taken out alone",
            value=tag_id,
            valid=[tag.id for tag in later],
            next_step="take it out of the taxonomy file and run `zhongcao retrain`",
        )
    kept = [tag for tag in later if tag != gone]
    own = taxonomy.verticals[len(taxonomy.verticals) - taxonomy.added_verticals :]
    needed = {scope for tag in kept for scope in (tag.scope, *_named(tag.rule))}
    verticals = [vertical for vertical in own if vertical.id in needed]
    return replace(
        taxonomy,
        verticals=(*taxonomy.base.verticals, *verticals),
        tags=(*taxonomy.base.tags, *kept),
        added_verticals=len(verticals),
        added_tags=len(kept),
    )


def _named(rule: Rule | None) -> list[str | None]:
    """Return the scopes that a rule names beside the tag's own."""
    if rule is None:
        return []
    fitted = [leaf for quantile in rule.quantiles for leaf in quantile_measurements(quantile)]
    return [leaf.within for leaf in (*rule.measurements, *fitted)]


def merged_text(path: Path, fragment: Path, taxonomy: Taxonomy) -> str:
    """Return the text of a taxonomy file with a fragment after it, so that a retraining knows the tags, too.

    Raises
    ------
    TaxonomyError
        A file cannot be read, or the two do not make a taxonomy in which the fragment's tags mean what they mean in
        `taxonomy`.
    """
    held, more = (read_named(file, "taxonomy", TaxonomyError, "check the path") for file in (path, fragment))
    text = f"{held.rstrip()}\n\n{more.strip()}\n"
    draft = path.with_name(f".{path.name}.merged")
    try:
        draft.write_text(text, encoding="utf-8")
        merged = load_taxonomy(draft)
    finally:
        draft.unlink(missing_ok=True)
    for entry in read_fragment(fragment)["tag"]:
        if merged.tag(entry["id"]) != taxonomy.tag(entry["id"]):
            raise TaxonomyError(
                f"in {path} the tag would mean something else than in the model",
                value=entry["id"],
                next_step="write its horizon_days and numbers out",
            )
    return text
