"""The IAB Audience Taxonomy 1.1: standard ids that our tags may carry."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from features.errors import TaxonomyError

SEGTAX = 4
"""Number of this taxonomy in OpenRTB's ``data.ext.segtax``."""


@dataclass(frozen=True)
class IabNode:
    """One segment of the IAB Audience Taxonomy.

    Parameters
    ----------
    id
        Unique id, as it stands in a bid request.
    parent
        Id of the segment above; empty on the first tier.
    path
        Names from the first tier down.
    """

    id: str
    parent: str
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """Names from the first tier down, in one line."""
        return " | ".join(self.path)


@cache
def iab_nodes() -> dict[str, IabNode]:
    """Return all 1,558 segments by id, in the table's order.

    Examples
    --------
    >>> len(iab_nodes()), iab_nodes()["2"].name
    (1558, 'Demographic | Age Range')
    """
    file = resources.files("features") / "data" / "iab_audience_1_1.tsv"
    table = list(csv.reader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    ids, parent, first_tier = (table[0].index(name) for name in ("Unique ID", "Parent ID", "Tier 1"))
    nodes = {}
    for row in table[1:]:
        tiers = tuple(name.strip().rstrip("*") for name in row[first_tier : first_tier + 6] if name.strip())
        nodes[row[ids]] = IabNode(row[ids], row[parent], tiers)
    return nodes


def iab_node(iab_id: str) -> IabNode:
    """Return the segment of that id.

    Raises
    ------
    TaxonomyError
        There is none.

    Examples
    --------
    >>> iab_node("1281").name
    'Purchase Intent | Consumer Packaged Goods | Non-edible | General Merchandise | Pet Care | Pet Food'
    """
    nodes = iab_nodes()
    if iab_id not in nodes:
        raise TaxonomyError(
            "no such segment in the IAB Audience Taxonomy 1.1",
            value=iab_id,
            next_step="ids are texts such as '1281'; look one up by words with features.taxonomy.iab.search_iab",
        )
    return nodes[iab_id]


def search_iab(words: str) -> list[IabNode]:
    """Return the segments whose path has every word, shortest path first.

    Examples
    --------
    >>> [node.id for node in search_iab("purchase pet food")]
    ['1281']
    """
    wanted = words.lower().split()
    found = [n for n in iab_nodes().values() if wanted and all(word in n.name.lower() for word in wanted)]
    return sorted(found, key=lambda node: (len(node.path), int(node.id)))
