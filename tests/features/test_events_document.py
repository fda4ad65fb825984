from __future__ import annotations

import re

from features.events import COMMERCE_KINDS, INTEREST_KINDS, TABLES, Column
from features.sources.mapping import Mapping, load_text
from tests.source_tree import ROOT

EVENTS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
CONNECT = (ROOT / "docs" / "connect-a-shop.md").read_text(encoding="utf-8")


def _row(column: Column) -> str:
    kind = column.type + ", required" * column.required + ", made by the log" * column.made
    bounds = ""
    if column.type == "time":
        bounds = "from 1990" if column.low is not None else ""
    elif column.low is not None:
        bounds = f"{column.low:g} or more" if column.high is None else f"{column.low:g} to {column.high:g}"
    return f"| `{column.name}` | {kind} | {bounds} | {column.meaning} |"


def test_tables_are_those_of_the_code() -> None:
    shown = {
        name: [line for line in body.splitlines() if line.startswith("| `")]
        for name, body in re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", EVENTS, re.MULTILINE | re.DOTALL)
    }
    assert shown == {name: [_row(column) for column in table.columns] for name, table in TABLES.items()}


def test_kinds_are_those_of_the_code() -> None:
    for side, kinds in (("interest", INTEREST_KINDS), ("commerce", COMMERCE_KINDS)):
        assert f"| {side} | {', '.join(f'`{kind}`' for kind in kinds)} |" in EVENTS


def test_every_key_of_a_mapping_is_documented() -> None:
    table = CONNECT.partition("| key | values |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Mapping.model_fields)


def test_the_documented_mapping_is_valid() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", CONNECT, re.DOTALL)
    assert load_text(block, "docs").kinds["交易关闭"] == "skip"
