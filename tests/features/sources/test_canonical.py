from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.people.identity import account_key, load_key, person_key
from tests.features.log_cases import COLUMNS, NOW, imported, mapping, rows, settings_in, written


def _one(folder: Path, text: str, select: str, **more: object) -> list[tuple[object, ...]]:
    home = settings_in(folder)
    imported(home, written(folder, text), mapping(**more))
    return rows(home, select)


@pytest.mark.parametrize(
    ("time", "text", "second"),
    [
        ("epoch_s", "1700000000", 1_700_000_000),
        ("epoch_s", "1700000000.9", 1_700_000_000),
        ("epoch_ms", "1700000000999", 1_700_000_000),
        ("epoch_us", "1700000000999999", 1_700_000_000),
        ("iso", "2024-05-01 08:30:00", 1_714_523_400),
        ("iso", "2024-05-01T08:30:00.7Z", 1_714_552_200),
        ("iso", "2024-05-01T08:30:00-05:00", 1_714_570_200),
        ("iso", "2024-05-01", 1_714_492_800),
        ("day", "2024-05-01", 1_714_492_800),
        ("%d/%m/%Y %H:%M", "01/05/2024 08:30", 1_714_523_400),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-05-01T08:30:00+0000", 1_714_552_200),
    ],
)
def test_times(tmp_path: Path, time: str, text: str, second: int) -> None:
    data = f"kind,t,user,item,amount\ncart,{text},a,i,\n"
    assert _one(tmp_path, data, "event_time", time=time, timezone="Asia/Shanghai") == [(second,)]


@pytest.mark.parametrize("text", ["1", "600000000", str(NOW + 1), "1e30", "nan", "-5", "2024-05-01", ""])
def test_times_that_are_none(tmp_path: Path, text: str) -> None:
    assert _one(tmp_path, f"kind,t,user,item,amount\ncart,{text},a,i,\n", "event_time") == []


@settings(max_examples=20, deadline=None)
@given(amounts=st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_decimal_amounts_become_minor_units_exactly(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[int]
) -> None:
    lines = "".join(f"cart,1700000000,a,i{n},{v // 100}.{v % 100:02d}\n" for n, v in enumerate(amounts))
    made = _one(tmp_path_factory.mktemp("log"), "kind,t,user,item,amount\n" + lines, "item, amount")
    assert dict(made) == {f"i{n}": value for n, value in enumerate(amounts)}


@pytest.mark.parametrize(
    ("more", "text", "minor"),
    [
        ({"money": "minor"}, "1299", 1299), ({"money": "minor"}, "12.5", None), ({"currency": "JPY"}, "1299", 1299),
        ({"currency": "JPY"}, "12.5", None), ({}, "1e3", 100_000), ({}, "-0.01", None), ({}, "inf", None),
        ({}, "12.340", 1234), ({}, "1,299", 129_900),
    ],
)  # fmt: skip
def test_units_of_money(tmp_path: Path, more: dict[str, str], text: str, minor: int | None) -> None:
    data = f'kind,t,user,item,amount\ncart,1700000000,a,i,"{text}"\n'
    assert _one(tmp_path, data, "amount", **more) == ([] if minor is None else [(minor,)])


@pytest.mark.parametrize(
    ("more", "text", "minor"),
    [
        ({}, "¥1,234.50", 123_450), ({}, "￥99", 9_900), ({}, "¥ 12.5", 1_250), ({}, "1,234,567.89元", 123_456_789),
        ({}, "12.00 CNY", 1_200), ({}, "￥\u00a09,007,199,254,740.93", 900_719_925_474_093),
        ({}, "¥12.3400", 1_234), ({"currency": "USD"}, "$5.00", 500), ({"currency": "EUR"}, "5.05 €", 505),
        ({"currency": "JPY"}, "¥1,299", 1_299),
        ({"money": "minor"}, "1,234", 1_234), ({"money": "minor", "currency": "JPY"}, "¥99", 99),
        ({}, "12,50", None), ({}, "1,2345", None), ({}, "0,123", None), ({}, "12,34,567", None),
        ({}, "1.234,50", None), ({}, "¥12.345", None), ({}, "¥", None), ({}, "¥-5", None), ({}, "¥5元", None),
        ({}, "¥1 234", None), ({}, "$5.00", None), ({"money": "minor"}, "¥99", None),
        ({"money": "minor"}, "1,234.5", None),
        ({"money": "minor"}, "1299.0", 1_299), ({"money": "minor"}, "12.00000001", None),
        ({}, "¥999,999,999,999,999", None), ({}, "¥1e3", None),
    ],
)  # fmt: skip
def test_amounts_with_signs_and_groups(tmp_path: Path, more: dict[str, str], text: str, minor: int | None) -> None:
    data = f'kind,t,user,item,amount\ncart,1700000000,a,i,"{text}"\n'
    assert _one(tmp_path, data, "amount", **more) == ([] if minor is None else [(minor,)])


@settings(max_examples=15, deadline=None)
@given(amounts=st.lists(st.integers(0, 10**14), min_size=1, max_size=40))
def test_written_amounts_become_minor_units_exactly(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[int]
) -> None:
    lines = "".join(f'cart,1700000000,a,i{n},"¥{v // 100:,}.{v % 100:02d}"\n' for n, v in enumerate(amounts))
    made = _one(tmp_path_factory.mktemp("log"), "kind,t,user,item,amount\n" + lines, "item, amount")
    assert dict(made) == {f"i{n}": value for n, value in enumerate(amounts)}


def test_a_refused_amount_says_what_may_stand_beside_it(tmp_path: Path) -> None:
    data = "kind,t,user,item,amount\ncart,1700000000,a,i,$5\n"
    said = imported(settings_in(tmp_path), written(tmp_path, data), mapping()).reasons
    assert list(said) == [
        "amount: no amount of CNY; valid: 0 or more with at most 2 decimals, "
        "beside it CNY or ¥ or ￥ or 元 or nothing"
    ]


def test_whole_numbers_dwell_and_percent(tmp_path: Path) -> None:
    columns = {n: n for n in ("kind", "quantity", "dwell_ms", "read_percent", "propensity")}
    used = {"columns": columns | {"event_time": "t", "account": "user"}, "dwell": "s", "nulls": ["-"]}
    head = "kind,t,user,quantity,dwell_ms,read_percent,propensity\n"
    good = "read,1700000000,a,2.0,1.2346,100,0\nread,1700000001,a,-,-,,1\n"
    bad = (
        "read,1700000002,a,1.5,,,\nread,1700000003,a,,-1,,\nread,1700000004,a,,,100.1,\nread,1700000005,a,,,,1.1\n"
    )
    made = _one(tmp_path, head + good + bad, "event_time, quantity, dwell_ms, read_percent, propensity", **used)
    assert made == [(1700000000, 2, 1235, 100.0, 0.0), (1700000001, None, None, None, 1.0)]


def test_translated_values_constants_and_kinds_to_skip(tmp_path: Path) -> None:
    used = mapping(
        columns=COLUMNS | {"own_label": "own", "shop": {"constant": "s'1"}},
        kinds={"bought": "purchase", "void": "skip"},
        values={"own_label": {"是": True, "否": False}, "item": {"i1": "I-1"}},
    )
    home = settings_in(tmp_path)
    text = "kind,t,user,item,amount,own\nbought,1700000000,a,i1,1,是\ncart,1700000001,a,i2,1,否\nvoid,,,,x,\n"
    summary = imported(home, written(tmp_path, text), used)
    assert (summary.read, summary.accepted, summary.skipped, summary.quarantined) == (3, 2, 1, 0)
    assert rows(home, "kind, item, own_label, shop") == [
        ("cart", "i2", False, "s'1"),
        ("purchase", "I-1", True, "s'1"),
    ]


def test_skip_is_no_kind_where_the_mapping_does_not_say_so(tmp_path: Path) -> None:
    assert _one(tmp_path, "kind,t,user,item,amount\nskip,1700000000,a,i,\n", "kind") == []


def test_the_platform_of_a_column_keys_the_account(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(platform=None, columns=COLUMNS | {"platform": "where", "account": ["user", "item"]})
    imported(
        home,
        written(tmp_path, "where,kind,t,user,item,amount\njd,cart,1700000000,a,b,\ntb,cart,1700000000,a,b,\n"),
        used,
    )
    key = load_key(home)
    assert rows(home, "platform, account") == [(p, account_key(key, p, "a:b")) for p in ("jd", "tb")]


def test_arrival_that_the_data_tells(tmp_path: Path) -> None:
    used = {"columns": COLUMNS | {"arrived_at": "item"}}
    text = "kind,t,user,item,amount\ncart,1700000000,a,1700000009,\ncart,1700000000,b,1699999999,\n"
    assert _one(tmp_path, text, "event_time, arrived_at", **used) == [(1700000000, 1700000009)]


def test_currency_of_another_kind_is_refused(tmp_path: Path) -> None:
    used = {"columns": COLUMNS | {"currency": "item"}, "currency": "CNY"}
    text = "kind,t,user,item,amount\ncart,1700000000,a,CNY,1\ncart,1700000000,b,EUR,1\ncart,1700000000,c,,1\n"
    assert _one(tmp_path, text, "currency, amount", **used) == [("CNY", 100), ("CNY", 100)]


def test_statements_of_the_future_are_known_when_they_are_accepted(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(
        table="identities", arrival_delay=10,
        columns={"account": "user", "person": "p", "valid_from": "t", "consent": "ok"},
    )  # fmt: skip
    text = f"user,p,t,ok\na,P,1700000000,1\na,P,1700000000,1\nb,P,{NOW + 500},0\n"
    summary = imported(home, written(tmp_path, text), used)
    assert (summary.accepted, summary.duplicates) == (2, 1)
    key = load_key(home)
    assert rows(home, "valid_from, arrived_at, consent, person, account", "identities") == [
        (1700000000, 1700000010, True, person_key(key, "P"), account_key(key, "shop", "a")),
        (NOW + 500, NOW, False, person_key(key, "P"), account_key(key, "shop", "b")),
    ]
