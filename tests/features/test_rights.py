from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import RightsError
from features.events import IDENTITIES
from features.log.event_log import connect
from features.people.person_links import PersonLinks
from features.people.population import population
from features.rights.file import rights_path
from features.rights.ledger import Rights, delete_tag, note_output, opt_in, opt_out, outputs, refused_keys
from features.rights.refused_links import without_refused
from features.rights.withdrawals import withdrawn
from features.settings import Settings

DAY = 86_400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", threads=1)


def link(row: str, account: str, person: str, since: int, consent: bool | None = None) -> dict[str, object]:
    return {
        "row_id": row, "source": "s", "arrived_at": since, "platform": "p", "account": account, "person": person,
        "valid_from": since, "consent": consent,
    }  # fmt: skip


def acts(*accounts: str) -> pa.Table:
    rows = [{"account": a, "kind": "click", "event_time": 5 * DAY, "arrived_at": 5 * DAY} for a in accounts]
    return pa.Table.from_pylist(rows)


def test_what_is_said_is_known_to_whoever_asks_next(settings: Settings) -> None:
    rights, other = Rights(settings), Rights(settings)
    assert rights.refused() == frozenset()
    opt_out(settings, ["b", "a"])
    delete_tag(settings, ["a"], "dairy.will-buy")
    delete_tag(settings, ["a"], "bread.will-buy")
    assert rights.refused() == other.refused() == {"a", "b"}
    assert rights.deleted_tags() == {"a": {"dairy.will-buy", "bread.will-buy"}}
    before = rights.stamp()
    opt_in(settings, ["a", "never said anything"])
    assert rights.refused() == other.refused() == set(refused_keys(settings)) == {"b"}
    assert rights.stamp() > before
    opt_out(settings, ["a"])
    assert rights.refused() == {"a", "b"}
    rights.close()
    other.close()


def test_the_file_is_its_owners(settings: Settings) -> None:
    opt_out(settings, ["a"])
    assert stat.S_IMODE(rights_path(settings).stat().st_mode) == 0o600


def test_a_file_that_cannot_be_read_personalises_nobody(settings: Settings) -> None:
    opt_out(settings, ["a"])
    rights_path(settings).write_bytes(b"no database" * 1000)
    with pytest.raises(RightsError, match="cannot be read"):
        Rights(settings).refused()
    with pytest.raises(RightsError, match="cannot be kept"):
        opt_out(settings, ["b"])


def test_folders_of_scores_are_remembered_once(settings: Settings, tmp_path: Path) -> None:
    assert outputs(settings) == []
    for name in ("b", "a", "b"):
        note_output(settings, tmp_path / name)
    assert outputs(settings) == [tmp_path / "a", tmp_path / "b"]


@pytest.mark.parametrize("asked", ["a1", "a2", "ann"])
@pytest.mark.parametrize("instant", [6 * DAY, 9 * DAY, 12 * DAY])
def test_who_opted_out_is_in_no_population(settings: Settings, asked: str, instant: int) -> None:
    # Whatever consent is imported later, and though the second account became theirs late.
    rows = [link("1", "a1", "ann", DAY), link("2", "a2", "ann", 10 * DAY, True), link("3", "b1", "bob", DAY, True)]
    con = connect(settings)
    links = without_refused(con, con.from_arrow(pa.Table.from_pylist(rows, schema=IDENTITIES.schema)), [asked])
    events = acts("a1", "a2", "b1", "c1")
    assert population(events, links, [instant], "UTC").persons == ["bob", "c1"]
    links_of = PersonLinks(links)
    persons = pa.array(["ann", "bob", "a1", "a2", "c1"])
    refused = links_of.refused(persons, pa.array([instant] * 5).to_numpy()).tolist()
    assert refused[1:] == [False, True, True, False]
    assert {"ann", "a1", "a2"} <= set(withdrawn(links, 6 * DAY, instant)) <= {"ann", "a1", "a2", asked}
    con.close()


def test_an_account_that_is_somebody_elses_now_takes_nobody_out(settings: Settings) -> None:
    rows = [link("1", "a1", "ann", DAY), link("2", "a1", "bob", 3 * DAY), link("3", "a2", "ann", DAY)]
    con = connect(settings)
    links = without_refused(con, con.from_arrow(pa.Table.from_pylist(rows, schema=IDENTITIES.schema)), ["a2"])
    assert population(acts("a1", "a2"), links, [6 * DAY], "UTC").persons == ["bob"]
    con.close()
