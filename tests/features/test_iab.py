from __future__ import annotations

from importlib import resources

import pytest

from features.errors import TaxonomyError
from features.taxonomy.iab import iab_node, iab_nodes, search_iab


def test_every_parent_is_a_node_and_shares_the_first_tier() -> None:
    nodes = iab_nodes()
    for node in nodes.values():
        if node.parent:
            assert nodes[node.parent].path[0] == node.path[0]
        else:
            assert len(node.path) == 1


def test_search_wants_every_word_and_puts_the_widest_first() -> None:
    assert next(node.id for node in search_iab("consumer packaged dairy")) == "1133"
    assert search_iab("dairy zebra") == []
    assert search_iab("  ") == []


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(TaxonomyError, match=r"no such segment in the IAB Audience Taxonomy 1.1: '99999'; ids are"):
        iab_node("99999")


def test_the_table_comes_with_its_licence() -> None:
    folder = resources.files("features") / "data"
    assert "CC BY 3.0" in (folder / "iab_audience_1_1.md").read_text(encoding="utf-8")
