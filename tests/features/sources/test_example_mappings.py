from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from features.days import instant_of
from features.log.event_log import EventLog
from features.people.identity import account_key, load_key, person_key
from features.people.population import population
from features.settings import Settings
from features.sources.mapping import load_mapping
from tests.features.log_cases import imported, rows, settings_in

FOLDER = Path(__file__).parents[3] / "examples" / "mappings"
DATA = {
    "content_platform": "content_platform.jsonl", "taobao_tmall": "taobao_tmall.csv", "jd": "jd.tsv",
    "pinduoduo": "pinduoduo.csv.gz", "identities": "identities.csv",
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path, timezone="Asia/Shanghai")
    for mapping, data in DATA.items():
        summary = imported(settings, FOLDER / data, load_mapping(FOLDER / f"{mapping}.toml"))
        assert summary.accepted > 1
        # Every sample but the identities has one bad row, to show what happens to it.
        assert summary.quarantined == (mapping != "identities")
    return settings


def test_every_example_has_data() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(DATA)


def test_the_three_shops_and_the_content_platform_make_one_log(home: Settings) -> None:
    assert Counter(rows(home, "platform, kind")) == {
        ("xiaohongshu", "impression"): 2, ("xiaohongshu", "click"): 1, ("xiaohongshu", "read"): 1,
        ("xiaohongshu", "save"): 1, ("xiaohongshu", "link_click"): 1, ("xiaohongshu", "hide"): 1,
        ("taobao", "purchase"): 2, ("taobao", "refund"): 1, ("jd", "purchase"): 2, ("pinduoduo", "purchase"): 2,
        ("pinduoduo", "refund"): 1,
    }  # fmt: skip
    bought = [row for row in rows(home, "event_id, amount, discount, coupon, event_time") if ":purchase:" in row[0]]
    assert bought == [
        ("jd:purchase:310001:100012", 15900, 2000, None, instant_of("2024-05-06T21:03:44+08:00")),
        ("jd:purchase:310003:100344", 109900, 0, None, instant_of("2024-05-07T08:00:00+08:00")),
        ("pinduoduo:purchase:240508-001", 4990, 500, 300, instant_of("2024-05-08T10:20:30+08:00")),
        ("pinduoduo:purchase:240508-002", 2970, 0, 0, instant_of("2024-05-08T11:00:00+08:00")),
        ("taobao:purchase:2150001", 29800, 4000, 1000, instant_of("2024-05-01T20:15:03+08:00")),
        ("taobao:purchase:2150002", 8990, 0, None, instant_of("2024-05-01T20:15:03+08:00")),
    ]
    assert rows(home, "dwell_ms, read_percent, arrived_at - event_time, position")[0] == (26500, 92.0, 300, None)


def test_one_person_who_buys_in_two_shops_is_one_from_the_link_on(home: Settings) -> None:
    log = EventLog.open(home)
    con = log.connect()
    days = [instant_of(day, "Asia/Shanghai") for day in ("2024-05-03", "2024-05-10")]
    spine = population(log.events(con), log.table(con, "identities"), days, log.timezone)
    key = load_key(home)
    taobao, jd = account_key(key, "taobao", "小草_tb"), account_key(key, "jd", "jd_grass88")
    notes, member = account_key(key, "xiaohongshu", "xhs_1001"), person_key(key, "会员-1")
    people: dict[int, dict[str, set[str]]] = {day: {} for day in days}
    persons, instants = spine.rows["person"].to_pylist(), spine.rows["instant"].to_pylist()
    for row, account in zip(*spine.accounts.to_pydict().values(), strict=True):
        people[instants[row]].setdefault(persons[row], set()).add(account)
    before, after = people[days[0]], people[days[1]]
    assert before[member] == {notes}
    assert before[taobao] == {taobao}
    assert after[member] == {notes, taobao, jd}
    assert taobao not in after
    assert person_key(key, "会员-2") not in after
