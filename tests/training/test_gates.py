from __future__ import annotations

import pytest

from features.errors import GateError
from training.gates.check import Check, Report


def test_one_failed_check_shuts_the_gate_and_all_failed_ones_are_named() -> None:
    checks = (
        Check("volume", "PASS", "as before"),
        Check("null-rate", "WARN", "amount missing in 4 % of purchases"),
        Check("units", "FAIL", "prices x 100 on taobao", next_step="mend the mapping"),
        Check("days", "FAIL", "2 days twice", next_step="mend the mapping"),
    )
    report = Report("data", checks)
    assert not report.passed
    with pytest.raises(
        GateError, match=r"of data is shut: units \(prices x 100 on taobao\); days \(2 days twice\)"
    ) as shut:
        report.require()
    assert shut.value.next_step == "mend the mapping"
    Report("data", checks[:2]).require()


def test_examples_are_ten_at_most() -> None:
    assert len(Check("null-rate", "WARN", "many", examples=tuple("abcdefghijklm")).examples) == 10
