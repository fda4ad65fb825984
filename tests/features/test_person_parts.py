"""A log cut by person: every row once, and what belongs to one person in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.events import EVENTS
from features.log.person_parts import PersonParts
from tests.features.logs import START
from tests.features.test_impressions import canonical, seen
from tests.features.test_population import link, links_of

ACCOUNTS = [f"a{n}" for n in range(40)]
LINKS = links_of(
    [
        link("1", "a1", "P", START), link("2", "a2", "P", START + 5),  # two accounts of one person
        link("3", "a2", "Q", START + 9), link("4", "a3", "Q", START),  # one of them goes over to another
        link("5", "a4", "a5", START),  # a person who is named like an account
        link("6", "a6", "P", START, late=99),  # not known yet
    ]
)  # fmt: skip


def cut(number: int, folder: Path) -> list[list[dict[str, Any]]]:
    con = duckdb.connect()
    rows = con.from_arrow(canonical(EVENTS, [seen(f"e{n}", n, account) for n, account in enumerate(ACCOUNTS * 2)]))
    parts = PersonParts(rows, LINKS, known_at=START + 50, number=number, folder=folder / "events")
    assert len(parts) == number
    return [parts.read(n, con)[0].to_arrow_table().to_pylist() for n in range(number)]


@pytest.mark.parametrize("number", [1, 2, 5, 300])
def test_every_event_lies_in_one_part_and_related_accounts_in_the_same(number: int, tmp_path: Path) -> None:
    parts = cut(number, tmp_path)
    together = sorted((row for part in parts for row in part), key=lambda row: int(row["event_id"][1:]))
    assert together == canonical(EVENTS, [seen(f"e{n}", n, a) for n, a in enumerate(ACCOUNTS * 2)]).to_pylist()
    where = {row["account"]: n for n, part in enumerate(parts) for row in part}
    assert all({where[row["account"]] for row in part} == {n} for n, part in enumerate(parts) if part)
    assert where["a1"] == where["a2"] == where["a3"]
    assert where["a4"] == where["a5"]
    assert len(set(where.values())) > 1 or number == 1


def test_parts_that_are_there_are_read_and_a_draft_is_not(tmp_path: Path) -> None:
    (tmp_path / ".events").mkdir()
    (tmp_path / ".events" / "left.parquet").write_text("cut off")
    first = cut(3, tmp_path)
    assert not (tmp_path / ".events").exists()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "events").iterdir()}
    assert cut(3, tmp_path) == first
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "events").iterdir()}
