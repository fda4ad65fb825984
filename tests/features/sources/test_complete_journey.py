from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.datasets.complete_journey import import_complete_journey
from features.errors import EventLogError
from features.log.event_log import EventLog
from features.people.identity import account_key, load_key, person_key
from features.people.population import population
from features.settings import load_settings
from features.sources.mapping import TRUE_FROM
from tests.features.log_cases import rows, settings_in


def _second(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    day = datetime.fromisoformat
    tables: dict[str, dict[str, list[object]]] = {
        "transactions": {
            "household_id": [1, 1, 2], "store_id": [330, 330, 406], "basket_id": [11, 11, 12],
            "product_id": [100, 200, 300], "quantity": [1, 2, 0], "sales_value": [0.29, 1.0, 0.0],
            "retail_disc": [0.1, 0.0, 0.0], "coupon_disc": [0.2, 0.0, 0.0], "coupon_match_disc": [0.05, 0.0, 0.0],
            "week": [1, 1, 2],
            "transaction_timestamp": [*[day("2017-01-01T11:53:26")] * 2, day("2017-01-09T00:00:00")],
        },
        "products": {
            "product_id": [100, 200], "manufacturer_id": [2, 69], "department": ["GROCERY", "MISC"],
            "brand": ["National", "Private"], "product_category": ["ICE", None],
            "product_type": ["ICE CUBED", None],
            "package_size": ["22 LB", None],
        },
        "campaigns": {"campaign_id": [7, 7], "household_id": [1, 3]},
        "campaign_descriptions": {
            "campaign_id": [7], "campaign_type": ["Type A"], "start_date": [day("2017-01-05T00:00:00")],
            "end_date": [day("2017-02-05T00:00:00")],
        },
        "coupon_redemptions": {
            "household_id": [1, 1], "coupon_upc": [5, 6], "campaign_id": [7, 7],
            "redemption_date": [day("2017-01-08T00:00:00")] * 2,
        },
        "coupons": {
            "coupon_upc": [5, 6, 6], "product_id": [100, 100, 200], "campaign_id": [7, 7, 7],
        },
        "promotions": {
            "product_id": [100, 100, 200, 100], "store_id": [330, 330, 330, 999],
            "display_location": ["9", "0", "1", "1"],
            "mailer_location": ["0", "A", "0", "0"], "week": [1, 1, 1, 1],
        },
        "demographics": {
            "household_id": [1], "age": ["65+"], "income": [None], "home_ownership": ["Homeowner"],
            "marital_status": ["Married"], "household_size": ["2"], "household_comp": ["2 Adults No Kids"],
            "kids_count": ["0"],
        },
    }  # fmt: skip
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_purchases_notes_and_redemptions(tmp_path: Path, data: Path) -> None:
    home = settings_in(tmp_path)
    summaries = import_complete_journey(home, data=data)
    assert {s.table for s in summaries} == {*TRUE_FROM, "items", "note_items"} - {"spend"}
    assert summaries[-1].unknown_items == 1
    log = EventLog.open(home)
    assert (log.currency, log.timezone) == ("USD", "UTC")
    bought = (
        'item, category, brand, own_label, amount, discount, coupon, quantity, shop, "order", currency, event_time'
    )
    basket = _second("2017-01-01T11:53:26")
    assert [row for row in rows(home, bought) if row[0]] == [
        ("100", "ICE", "2", False, 29, 10, 25, 1, "330", "11", "USD", basket),
        ("200", None, "69", True, 100, 0, 0, 2, "330", "11", "USD", basket),
        ("300", None, None, None, 0, 0, 0, 0, "406", "12", "USD", _second("2017-01-09")),
    ]
    assert [row for row in rows(home, "kind, platform, note, campaign, event_time") if row[1] == "mail"] == [
        ("impression", "mail", "7", "7", _second("2017-01-05")),
        ("impression", "mail", "7", "7", _second("2017-01-05")),
        ("link_click", "mail", "7", "7", _second("2017-01-08")),
        ("link_click", "mail", "7", "7", _second("2017-01-08")),
    ]
    assert rows(home, "paid, campaign", "notes") == [(True, "7")]
    begins = _second("2017-01-05")
    assert rows(home, "note, item, arrived_at", "note_items") == [("7", "100", begins), ("7", "200", begins)]
    assert len(rows(home, table="people")) == 6


def test_a_household_is_one_person_from_the_beginning(tmp_path: Path, data: Path) -> None:
    home = settings_in(tmp_path)
    import_complete_journey(home, data=data)
    log = EventLog.open(home)
    con = log.connect()
    instant = _second("2017-01-06")
    spine = population(log.events(con), log.table(con, "identities"), [instant], "UTC")
    key = load_key(home)
    persons = {person_key(key, str(household)) for household in (1, 3)}
    assert set(spine.rows["person"].to_pylist()) == persons
    of_first = {account_key(key, platform, "1") for platform in ("grocery", "mail")}
    assert of_first <= set(spine.accounts["account"].to_pylist())


def test_importing_again_adds_nothing(tmp_path: Path, data: Path) -> None:
    home = settings_in(tmp_path)
    first = import_complete_journey(home, data=data)
    again = import_complete_journey(home, data=data)
    assert [s.accepted for s in again] == [0] * len(first)
    assert [s.duplicates for s in again] == [s.accepted for s in first]


def test_promotions_are_one_impression_per_household_store_week_and_category(tmp_path: Path, data: Path) -> None:
    home = settings_in(tmp_path)
    import_complete_journey(home, data=data, promotions=True)
    seen = [
        row
        for row in rows(home, "kind, platform, category, shop, event_time")
        if row[:2] == ("impression", "grocery")
    ]
    assert seen == [("impression", "grocery", "ICE", "330", _second("2017-01-01T11:53:26"))]


def test_a_log_of_another_currency_is_refused(tmp_path: Path, data: Path) -> None:
    home = load_settings(home=tmp_path / "home", currency="CNY", threads=1)
    with pytest.raises(
        EventLogError, match="the currency of a log is fixed by its first import: 'CNY'; valid: USD"
    ):
        import_complete_journey(home, data=data)
