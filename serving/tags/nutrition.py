"""The nutrition label of a tag: criteria, sources, look-back and standing, in words."""

from __future__ import annotations

from rich.table import Table

from features.days import day_text
from features.taxonomy.iab import iab_node
from features.taxonomy.rule_nodes import kinds_text
from features.taxonomy.taxonomy import Seeds, Tag, Taxonomy

_SHOWN_CATEGORIES = 12


def label_rows(taxonomy: Taxonomy, tag: Tag) -> list[tuple[str, str]]:
    """Return the lines of the label.

    Parameters
    ----------
    taxonomy
        The tag's taxonomy.
    tag
        The tag.
    """
    rows = [
        ("id", tag.id),
        ("name", f"{tag.name} / {tag.name_zh}"),
        ("meaning", tag.meaning),
        ("segmentation criteria", tag.criterion),
        ("measured within", _scope(taxonomy, tag.scope)),
        *(_of_list(tag.seeds) if tag.seeds else _of_rule(tag)),
        ("refresh", "with each zhongcao retrain"),
        ("version", f"{tag.version}, in {taxonomy.name} version {taxonomy.version}, hash {taxonomy.hash[:12]}"),
    ]
    if tag.iab is not None:
        rows.append(("IAB Audience 1.1", f"{tag.iab}: {iab_node(tag.iab).name}"))
    return rows


def label_table(taxonomy: Taxonomy, tag: Tag) -> Table:
    """Return the label as a table to print."""
    table = Table(show_header=False)
    for field, value in label_rows(taxonomy, tag):
        table.add_row(field, value)
    return table


def _of_rule(tag: Tag) -> list[tuple[str, str]]:
    aggregates = tag.rule.aggregates(tag.horizon_days) if tag.rule else ()
    kinds = kinds_text(tuple(dict.fromkeys(kind for a in aggregates for kind in a.kinds)))
    lengths = [a.window.days for a in aggregates if a.window.side == "past"]
    back = "all of the past" if None in lengths else f"{max(filter(None, lengths), default=0)} days before"
    return [
        ("data sources", f"{kinds} events of the event log"),
        ("outcome window", f"{tag.horizon_days} days from the instant of scoring"),
        ("look-back of the rule", back if lengths else "none, the rule is about the future only"),
        ("observed or modelled", "modelled: a calibrated probability that the rule comes true"),
    ]


def _of_list(seeds: Seeds) -> list[tuple[str, str]]:
    return [
        ("data sources", f"a list of {seeds.people:,} people, all events of the event log"),
        ("outcome window", "none: whom the person is like now"),
        ("learned from", f"everybody's features as of {day_text(seeds.as_of, 'UTC')} (UTC)"),
        ("observed or modelled", "modelled: a calibrated probability that the person is in the list"),
    ]


def _scope(taxonomy: Taxonomy, scope: str) -> str:
    categories = dict(taxonomy.scopes.members)[scope]
    if categories == ("*",):
        return "all events"
    more = len(categories) - _SHOWN_CATEGORIES
    shown = ", ".join(categories[:_SHOWN_CATEGORIES])
    return f"{scope}: {shown}" + (f" and {more} more categories" if more > 0 else "")
