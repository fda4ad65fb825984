from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.errors import MappingError
from features.sources.mapping import load_mapping, load_text, mapping_of

GOOD: dict[str, Any] = {
    "source": "s", "platform": "p", "time": "epoch_s",
    "columns": {"kind": "k", "event_time": "t", "account": ["a", 2]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colums": {}}, "m: colums: Extra inputs.*valid: source, table, format"),
        ({"table": "event"}, "m: unknown table: 'event'; valid: events, notes"),
        ({"columns": {"kind": "k", "sku": "x"}}, "m: table events takes no column: 'sku'; valid: event_id"),
        ({"columns": {"kind": "k", "day": "x"}}, "takes no column: 'day'"),
        ({"columns": {"kind": "k", "event_time": "t"}}, "nothing is mapped to the required column account"),
        ({"time": "epoch"}, "unknown time unit: 'epoch'; valid: epoch_s"),
        ({"time": "order"}, "go together; give both or neither"),
        ({"kinds": {"x": "clik"}}, r"unknown event kind in \[kinds\]: 'clik'; valid: impression"),
        (
            {"columns": GOOD["columns"] | {"kind": {"constant": "clik"}}},
            "unknown event kind: 'clik'; valid: impression",
        ),
        ({"values": {"colour": {}}}, "takes no column: 'colour'"),
        ({"timezone": "Mars"}, "unknown time zone 'Mars'"),
        ({"currency": "yuan"}, "m: currency: String should match"),
        ({"arrival_delay": -1}, "m: arrival_delay"),
    ],
)
def test_what_a_mapping_may_not_say(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping_of(GOOD | change, "m")


def test_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        'source = "s"\nplatform = "p"\n[columns]\nkind = { constant = "cart" }\nevent_time = "t"\naccount = "a"\n'
    )
    mapping = load_mapping(path)
    assert mapping.source_columns == ["t", "a"]
    assert mapping.true_from == "event_time"
    assert mapping_of(GOOD, "m").source_columns == ["k", "t", "a", "2"]
    assert mapping.hash != mapping_of(GOOD, "m").hash


def test_files_that_are_no_mapping(tmp_path: Path) -> None:
    draft = "zhongcao mapping draft DATA --out FILE writes a first one"
    with pytest.raises(MappingError, match=rf"^there is no such mapping file: '.*nothere.toml'; {draft}$"):
        load_mapping(tmp_path / "nothere.toml")
    foreign = tmp_path / "gbk.toml"
    foreign.write_bytes('source = "淘宝"'.encode("gb18030"))
    with pytest.raises(MappingError, match=r"the mapping file is not text in UTF-8: '.*gbk.toml'; name the"):
        load_mapping(foreign)
    foreign.write_text('source = "s"\ntag = 1\n', encoding="utf-8")
    with pytest.raises(MappingError, match=r"gbk.toml: columns: Field required"):
        load_mapping(foreign)
    with pytest.raises(MappingError, match="m is not TOML"):
        load_text("source = ", "m")


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert [mapping_of(GOOD, "m").minor_digits(c) for c in ("CNY", "JPY", "KWD")] == [2, 0, 3]
