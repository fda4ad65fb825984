"""The people that are learned from: drawn whole, and each with the rows that the whole log gives."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from features.events import EVENTS
from features.rows.catalog import layout_for
from features.settings import Settings
from tests.features.logs import START
from tests.features.test_impressions import canonical, seen
from tests.features.test_population import link, links_of
from tests.training.small_log import DAY, small_home, small_taxonomy
from training.people_sample import sampled_accounts
from training.source import LogSource, open_source
from training.tags.windows import WindowBuilder

ACCOUNTS = [f"a{n}" for n in range(400)]
FIRST = 1_704_067_200
PAIRS = [link(f"{n}{k}", f"a{2 * n + k}", f"P{n}", START + n) for n in range(100) for k in (0, 1)]
MOVED = link("moved", "a0", "P1", START + 900)


def chosen(most: int) -> set[str] | None:
    con = duckdb.connect()
    events = con.from_arrow(
        canonical(EVENTS, [seen(f"e{n}", n, account) for n, account in enumerate(ACCOUNTS * 2)])
    )
    found = sampled_accounts(con, events, con.from_arrow(links_of([*PAIRS, MOVED])), most)
    return None if found is None else {account for (account,) in found.fetchall()}


def test_about_as_many_people_are_chosen_and_those_of_fewer_are_among_them() -> None:
    many, few = chosen(150), chosen(50)
    assert many is not None
    assert few is not None
    people = {frozenset((a, b)) & many for a, b in zip(ACCOUNTS[:200:2], ACCOUNTS[1:200:2], strict=True)}
    # 99 people of two accounts, and two whom an account that went over makes one; 200 of one.
    assert {len(accounts) for accounts in people} == {0, 2}
    assert len({"a0", "a1", "a2", "a3"} & many) in {0, 4}
    assert 110 < len(people) - 1 + sum(account in many for account in ACCOUNTS[200:]) < 190
    assert few < many


@pytest.mark.parametrize("most", [299, 300, 500])
def test_everybody_is_taken_where_there_are_no_more(most: int) -> None:
    assert (chosen(most) is None) == (most >= 299)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_home(tmp_path_factory.mktemp("sampled"))


def window(settings: Settings, source: LogSource) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    taxonomy = small_taxonomy()
    builder = WindowBuilder(source, taxonomy, layout_for(taxonomy, {"purchase"}), settings.work_dir / "windows")
    made = builder.build(FIRST + 60 * DAY, FIRST + 80 * DAY)
    rows = dict(zip(made.persons, np.asarray(made.rows), strict=True))
    return rows, dict(zip(made.persons, made.outcomes, strict=True))


def test_rows_and_outcomes_are_those_of_the_whole_log(settings: Settings) -> None:
    whole, some = open_source(settings), open_source(settings, most_people=40)
    assert some.data_version != whole.data_version
    assert some.data_version == open_source(settings, most_people=40).data_version
    assert open_source(settings, most_people=1_000).data_version == whole.data_version
    rows, outcomes = window(settings, whole)
    few, truths = window(settings, some)
    assert 20 < len(few) < 60
    assert all(np.array_equal(row, rows[person], equal_nan=True) for person, row in few.items())
    assert all(np.array_equal(truth, outcomes[person]) for person, truth in truths.items())
