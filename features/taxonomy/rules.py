"""Rules: what must come true in the outcome window for a tag's label to be 1.

The language is described in ``docs/taxonomy.md``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from features.definitions import Aggregate
from features.taxonomy.rule_nodes import (
    Junction,
    Measurement,
    Node,
    Quantile,
    Truth,
    Truths,
    Values,
    children,
    walk,
)
from features.taxonomy.rule_parser import RuleParser


@dataclass(frozen=True)
class Rule:
    """A rule that was read and checked.

    Parameters
    ----------
    text
        As written.
    root
        What it means.
    """

    text: str
    root: Truth

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """Everything that is measured per row, without what only a quantile needs."""
        return _measurements(self.root, into_quantiles=False)

    @cached_property
    def quantiles(self) -> tuple[Quantile, ...]:
        """The population quantiles that it compares with."""
        return tuple(dict.fromkeys(node for node in walk(self.root) if isinstance(node, Quantile)))

    def aggregates(self, horizon_days: int) -> tuple[Aggregate, ...]:
        """Return the declarations that the feature engine computes for the rule, quantiles included.

        Examples
        --------
        >>> [a.name for a in parse_rule("count(purchase) > count(purchase, past=30)").aggregates(30)]
        ['purchase_count_next30d', 'purchase_count_30d']
        """
        leaves = _measurements(self.root, into_quantiles=True)
        return tuple(dict.fromkeys(leaf.aggregate(horizon_days) for leaf in leaves))

    def truths(self, values: Values) -> Truths:
        """Return for each row whether the rule holds."""
        return self.root.truths(values)

    def __str__(self) -> str:
        text = str(self.root)
        return text[1:-1] if isinstance(self.root, Junction) else text


def quantile_measurements(quantile: Quantile) -> tuple[Measurement, ...]:
    """Return what must be measured of the population for a quantile."""
    return _measurements(quantile.of, into_quantiles=True)


def parse_rule(text: str, *, tag: str = "", field: str = "rule", scopes: Collection[str] | None = None) -> Rule:
    """Read a rule.

    Parameters
    ----------
    text
        See ``docs/taxonomy.md``.
    tag, field
        Where it stands, for errors.
    scopes
        Names that ``within=`` may use; None where any will do.

    Raises
    ------
    RuleError
        The text is not a rule: names tag, field, position, the bad value and the valid ones.

    Examples
    --------
    >>> str(parse_rule('share(count(purchase, where="own_label"), count(purchase)) >= 0.5'))
    '(count(purchase, where="own_label") / count(purchase)) >= 0.5'
    """
    return Rule(text, RuleParser(tag, field, scopes).parse(text))


def _measurements(root: Node, *, into_quantiles: bool) -> tuple[Measurement, ...]:
    found: dict[Measurement, None] = {}
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Measurement):
            found[node] = None
        elif isinstance(node, Quantile) and not into_quantiles:
            continue
        else:
            stack += reversed(children(node))
    return tuple(found)
