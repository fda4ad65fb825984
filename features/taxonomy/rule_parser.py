"""Reads rule text: Python's expression grammar, a strict whitelist of forms, nothing is ever evaluated."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Collection
from typing import Final, NoReturn, TypeGuard, cast, get_args

from features.definitions import ALL_PAST, CONDITIONS, Window, past
from features.definitions import Measure as MeasureName
from features.errors import RuleError
from features.events import EVENTS, KINDS
from features.taxonomy.rule_nodes import (
    CATEGORY_SCOPE,
    KIND_GROUPS,
    Arithmetic,
    Comparison,
    Junction,
    Measurement,
    Negation,
    Node,
    Number,
    Numeric,
    Quantile,
    Truth,
    walk,
)

MEASURES: Final = ("count", "days", "sum", "distinct")
OPTIONS: Final = ("where", "past", "within", "category")
EVERYWHERE: Final = "all"
SUMMED: Final = tuple(c.name for c in EVENTS.columns if c.type in {"integer", "money"})
COUNTED: Final = (
    "item", "brand", "category", "shop", "order", "platform", "note", "creator", "topic", "campaign",
)  # fmt: skip

_FORMS: Final = (*MEASURES, "share", "quantile")
_LONGEST: Final = 2_000
_LARGEST: Final = 1e15
_SIGNS: Final[dict[type[ast.AST], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
    ast.GtE: ">=", ast.Gt: ">", ast.LtE: "<=", ast.Lt: "<", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


def is_truth(node: Node) -> TypeGuard[Truth]:
    """Tell whether a node is a condition and not a number."""
    return isinstance(node, get_args(Truth))


class RuleParser:
    """Turns rule text into nodes, or says what is wrong and where.

    Parameters
    ----------
    tag, field
        Where the rule stands, for errors.
    scopes
        Scope names that ``within=`` may use besides ``all``; None where they are not known yet: any will do.
    """

    def __init__(self, tag: str, field: str, scopes: Collection[str] | None) -> None:
        self.tag, self.field, self.scopes = tag, field, scopes

    def parse(self, text: str) -> Truth:
        """Return the condition that the text states."""
        if len(text) > _LONGEST:
            self._fail(None, f"a rule has at most {_LONGEST} characters", len(text))
        tree = self._tree(text)
        try:
            node = self._node(tree.body)
        except RecursionError:
            self._fail(None, "the rule is nested too deeply", text)
        if not is_truth(node):
            self._fail(tree.body, "a rule must be true or false, this is a number", str(node), ("count(...) >= 1",))
        if not any(isinstance(n, Measurement) and n.past is None for n in walk(node)):
            self._fail(
                tree.body, "a tag looks at the future, this rule measures nothing in the outcome window", text
            )
        return node

    def _tree(self, text: str) -> ast.Expression:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SyntaxWarning)
                return ast.parse(f"({text}\n)", mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line, offset = getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1
            self._fail_at(line, offset - (line == 1), "the rule cannot be read", text.strip())

    def _node(self, tree: ast.expr) -> Node:  # noqa: PLR0911 - one return per form of the language
        match tree:
            case ast.BoolOp(op=op, values=parts):
                return Junction("and" if isinstance(op, ast.And) else "or", tuple(self._truth(p) for p in parts))
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return Negation(self._truth(part))
            case ast.UnaryOp(op=ast.USub(), operand=part):
                inner = self._number(part)
                return Number(-inner.value) if isinstance(inner, Number) else Arithmetic("-", Number(0), inner)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _SIGNS:
                return Comparison(_SIGNS[type(op)], self._number(left), self._number(right))
            case ast.Compare():
                self._fail(
                    tree,
                    "a comparison is one sign between two numbers, join two with and",
                    ast.unparse(tree),
                    _comparisons(),
                )
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
                return Arithmetic(_SIGNS[type(op)], self._number(left), self._number(right))
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                if not math.isfinite(value) or abs(value) > _LARGEST:
                    self._fail(tree, "a number out of range", value, (f"-{_LARGEST:.0e} to {_LARGEST:.0e}",))
                return Number(float(value))
            case ast.Call(func=ast.Name(id=name)) if name in _FORMS:
                return self._form(name, tree)
            case ast.Call(func=function):
                self._fail(tree, "unknown form", ast.unparse(function), _FORMS)
        self._fail(
            tree, "not part of the rule language", ast.unparse(tree), (*_FORMS, "numbers", "+ - * /", "and or not")
        )

    def _truth(self, tree: ast.expr) -> Truth:
        node = self._node(tree)
        if not is_truth(node):
            self._fail(tree, "a number stands where a condition is due", str(node), (f"{node} >= 1",))
        return node

    def _number(self, tree: ast.expr) -> Numeric:
        if isinstance(tree, ast.Constant) and isinstance(tree.value, bool):
            self._fail(tree, "a boolean stands where a number is due", tree.value)
        node = self._node(tree)
        if is_truth(node):
            self._fail(tree, "a boolean stands where a number is due", str(node))
        return cast(Numeric, node)

    def _form(self, name: str, call: ast.Call) -> Numeric:
        if name == "share":
            part, whole = self._two(call, "share(part, whole)")
            return Arithmetic("/", self._number(part), self._number(whole))
        if name == "quantile":
            return self._quantile(call)
        return self._measurement(cast(MeasureName, name), call)

    def _quantile(self, call: ast.Call) -> Quantile:
        of, share = self._two(call, "quantile(number, share)")
        inner, q = self._number(of), self._number(share)
        if not isinstance(q, Number) or not 0 < q.value < 1:
            self._fail(share, "the share of a quantile lies between 0 and 1", str(q), ("0.8",))
        nodes = list(walk(inner))
        if any(isinstance(n, Quantile) for n in nodes):
            self._fail(of, "a quantile inside a quantile", str(inner))
        leaves = [n for n in nodes if isinstance(n, Measurement)]
        if not leaves or any(leaf.past is None for leaf in leaves):
            self._fail(of, "a quantile is taken of the past, the outcome window is not known then", str(inner),
                       ("past=30", "past=all"))  # fmt: skip
        return Quantile(inner, q.value)

    def _two(self, call: ast.Call, usage: str) -> tuple[ast.expr, ast.expr]:
        if len(call.args) != 2 or call.keywords:
            self._fail(call, "wrong arguments", ast.unparse(call), (usage,))
        return call.args[0], call.args[1]

    def _measurement(self, measure: MeasureName, call: ast.Call) -> Measurement:
        columns = {"sum": SUMMED, "distinct": COUNTED}.get(measure)
        if len(call.args) != (2 if columns else 1):
            usage = f"{measure}(kinds, column)" if columns else f"{measure}(kinds)"
            self._fail(call, "wrong arguments", ast.unparse(call), (usage,))
        of = None
        if columns:
            of = ast.unparse(call.args[1])
            if of not in columns:
                self._fail(call.args[1], f"no column that {measure} can read", of, columns)
        condition: str | None = None
        window: Window | None = None
        within: str | None = None
        for keyword in call.keywords:
            match keyword.arg:
                case "where":
                    condition = self._text(keyword.value, "where")
                    if condition not in CONDITIONS:
                        self._fail(keyword.value, "unknown condition", condition, CONDITIONS)
                case "past":
                    window = self._past(keyword.value)
                case "within" | "category" if within is not None:
                    self._fail(keyword.value, "within and category exclude each other", ast.unparse(call))
                case "within":
                    within = self._within(keyword.value)
                case "category":
                    within = CATEGORY_SCOPE + self._text(keyword.value, "category")
                case other:
                    self._fail(call, "unknown option", other or "**", OPTIONS)
        return Measurement(measure, self._kinds(call.args[0]), of, condition, window, within)

    def _kinds(self, tree: ast.expr) -> tuple[str, ...]:
        names: set[str] = set()
        stack = [tree]
        while stack:
            match stack.pop():
                case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                    stack += [left, right]
                case ast.Name(id=name) if name in KIND_GROUPS or name in KINDS:
                    names |= set(KIND_GROUPS.get(name, (name,)))
                case other:
                    self._fail(other, "unknown event kind", ast.unparse(other), (*KIND_GROUPS, *KINDS))
        return tuple(kind for kind in KINDS if kind in names)

    def _past(self, tree: ast.expr) -> Window:
        match tree:
            case ast.Name(id="all"):
                return ALL_PAST
            case ast.Constant(value=int(days)) if not isinstance(days, bool) and 1 <= days <= 3_660:
                return past(days)
        self._fail(tree, "past is a whole number of days or all", ast.unparse(tree), ("1 to 3660", "all"))

    def _within(self, tree: ast.expr) -> str:
        name = self._text(tree, "within")
        if self.scopes is not None and name != EVERYWHERE and name not in self.scopes:
            self._fail(tree, "unknown vertical", name, (EVERYWHERE, *self.scopes))
        return name

    def _text(self, tree: ast.expr, option: str) -> str:
        if not isinstance(tree, ast.Constant) or not isinstance(tree.value, str):
            self._fail(tree, f"{option} is a text in quotes", ast.unparse(tree))
        return tree.value

    def _fail(self, tree: ast.AST | None, problem: str, value: object, valid: Collection[str] = ()) -> NoReturn:
        line, column = getattr(tree, "lineno", 1), getattr(tree, "col_offset", 1)
        self._fail_at(line, column if line == 1 else column + 1, problem, value, valid)

    def _fail_at(
        self, line: int, column: int, problem: str, value: object, valid: Collection[str] = ()
    ) -> NoReturn:
        where = f"tag {self.tag}, " if self.tag else ""
        raise RuleError(f"{where}field {self.field}, line {line}, column {max(column, 1)}: {problem}", value=value,
                        valid=valid) from None  # fmt: skip


def _comparisons() -> tuple[str, ...]:
    return tuple(sign for kind, sign in _SIGNS.items() if issubclass(kind, ast.cmpop))
