"""The canonical tables: every column's type, unit, range and meaning, in one place.

Readers of outside data produce these rows, the event log stores them, features read them. Money is in minor units
of the currency (cents, fen), time in whole seconds since 1970-01-01 UTC, durations in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from features.errors import EventLogError

INTEREST_KINDS: Final = (
    "impression", "click", "read", "like", "save", "comment", "share", "follow", "search", "hide", "link_click",
)  # fmt: skip
"""What people do with notes on a content platform, from seeing to jumping to the shop."""

COMMERCE_KINDS: Final = ("store_visit", "item_view", "favourite", "cart", "purchase", "refund")
"""What people do in shops, from entering to returning goods."""

KINDS: Final = INTEREST_KINDS + COMMERCE_KINDS

ColumnType = Literal["text", "account", "person", "integer", "money", "number", "flag", "time", "day"]

_ARROW: Final[dict[ColumnType, pa.DataType]] = {
    "text": pa.string(),
    "account": pa.string(),
    "person": pa.string(),
    "integer": pa.int64(),
    "money": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "time": pa.int64(),
    "day": pa.int32(),
}

EARLIEST_TIME: Final = 631_152_000
"""1990-01-01: an earlier event is a wrong unit or a default value, not an event."""


@dataclass(frozen=True)
class Column:
    """One column of a canonical table.

    Parameters
    ----------
    name
        Column name, the same in files, code and API.
    type
        ``account`` and ``person`` are outside ids that become keyed hashes at the reader's edge; ``money`` is
        integer minor units; ``time`` is epoch seconds; ``day`` is days since 1970-01-01 in the log's time zone.
    meaning
        One line, with the unit.
    required
        Whether a row without it is refused.
    low, high
        Closed range of valid values; None where there is no bound.
    made
        Set by the reader or the log, never taken from the data.
    """

    name: str
    type: ColumnType
    meaning: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    made: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """The column's Arrow type."""
        return _ARROW[self.type]


@dataclass(frozen=True)
class Table:
    """A canonical table: its name, its columns and the column that identifies a row."""

    name: str
    key: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema in canonical column order."""
        return pa.schema([pa.field(c.name, c.arrow, nullable=not c.required) for c in self.columns])

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises
        ------
        EventLogError
            The table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise EventLogError(
            f"table {self.name} has no column", value=name, valid=[c.name for c in self.columns if not c.made]
        )


def _made(key: str, what: str) -> tuple[Column, ...]:
    return (
        Column(key, "text", f"Identifies {what}: the mapped id, else a hash of the row.", required=True),
        Column("source", "text", "Name of the source that brought the row.", required=True, made=True),
        Column("arrived_at", "time", "When the log could know the row.", required=True, low=EARLIEST_TIME),
    )


EVENTS: Final = Table(
    "events",
    "event_id",
    (
        *_made("event_id", "the event"),
        Column("kind", "text", "What happened; one of the event kinds.", required=True),
        Column("event_time", "time", "When it happened.", required=True, low=EARLIEST_TIME),
        Column("day", "day", "Day of event_time in the log's time zone.", required=True, made=True),
        Column("platform", "text", "Content platform or shop system where it happened.", required=True),
        Column("account", "account", "The acting account on that platform.", required=True),
        Column("note", "text", "Note that was acted on."),
        Column("creator", "text", "Creator of the note."),
        Column("topic", "text", "Topic of the note or of the search."),
        Column("campaign", "text", "Campaign that paid for the impression or led to the act."),
        Column("item", "text", "Item (SKU or SPU)."),
        Column("brand", "text", "Brand of the item or of the note."),
        Column("category", "text", "Category code of the item or of the note; verticals group these."),
        Column("shop", "text", "Shop or branch."),
        Column("order", "text", "Order or basket that groups purchase lines."),
        Column("amount", "money", "Paid for the line, or given back by a refund.", low=0),
        Column("currency", "text", "ISO 4217 code of the money columns."),
        Column("quantity", "integer", "Pieces.", low=0),
        Column("discount", "money", "Taken off by the shop's own promotion.", low=0),
        Column("coupon", "money", "Taken off by coupons.", low=0),
        Column("own_label", "flag", "The item is of the shop's own label."),
        Column("dwell_ms", "integer", "Time spent reading, in milliseconds.", low=0),
        Column("read_percent", "number", "Share of the note or video that was read, in percent.", low=0, high=100),
        Column("cost_micros", "integer", "Cost of the impression in millionths of a currency unit.", low=0),
        Column("position", "integer", "Place in the feed, 0 on top.", low=0),
        Column("propensity", "number", "Probability with which the policy chose this impression.", low=0, high=1),
        Column(
            "policy", "text", "Policy that chose the impression, or `hold_out:CAMPAIGN` for an ad in its place."
        ),
        Column("prediction_id", "text", "Prediction that the impression was chosen with."),
    ),
)

NOTES: Final = Table(
    "notes",
    "note",
    (
        *_made("note", "the note"),
        Column("creator", "text", "Who made it."),
        Column("topic", "text", "Main topic."),
        Column("category", "text", "Category code; verticals group these."),
        Column("brand", "text", "Brand the note is about."),
        Column("item", "text", "Item behind the note's link."),
        Column("campaign", "text", "Campaign that the note belongs to."),
        Column("media", "text", "image or video."),
        Column("paid", "flag", "The note is an advertisement."),
        Column("published_at", "time", "When it was published.", low=EARLIEST_TIME),
    ),
)

NOTE_ITEMS: Final = Table(
    "note_items",
    "row_id",
    (
        *_made("row_id", "the pair"),
        Column("note", "text", "Note.", required=True),
        Column("item", "text", "An item behind one of the note's links.", required=True),
    ),
)

ITEMS: Final = Table(
    "items",
    "item",
    (
        *_made("item", "the item"),
        Column("name", "text", "Name as the shop shows it."),
        Column("brand", "text", "Brand."),
        Column("category", "text", "Category code; verticals group these."),
        Column("department", "text", "Group that the shop puts the category in."),
        Column("price", "money", "List price.", low=0),
        Column("own_label", "flag", "Of the shop's own label."),
    ),
)

CAMPAIGNS: Final = Table(
    "campaigns",
    "campaign",
    (
        *_made("campaign", "the campaign"),
        Column("name", "text", "Name."),
        Column("brand", "text", "Brand that pays."),
        Column("starts_at", "time", "First moment of delivery.", low=EARLIEST_TIME),
        Column("ends_at", "time", "Last moment of delivery.", low=EARLIEST_TIME),
    ),
)

PEOPLE: Final = Table(
    "people",
    "row_id",
    (
        *_made("row_id", "the statement"),
        Column("platform", "text", "Platform that states it.", required=True),
        Column("account", "account", "Account that it is about.", required=True),
        Column("attribute", "text", "Attribute, e.g. age_band.", required=True),
        Column("value", "text", "Its value; empty where it is withdrawn."),
        Column("valid_from", "time", "From when it holds.", required=True, low=EARLIEST_TIME),
    ),
)

IDENTITIES: Final = Table(
    "identities",
    "row_id",
    (
        *_made("row_id", "the link"),
        Column("platform", "text", "Platform of the account.", required=True),
        Column("account", "account", "Account on that platform.", required=True),
        Column("person", "person", "Person that the account belongs to.", required=True),
        Column("valid_from", "time", "From when the link holds.", required=True, low=EARLIEST_TIME),
        Column("consent", "flag", "Whether the person agrees to be personalised; true where it is not said."),
    ),
)

ASSIGNMENTS: Final = Table(
    "assignments",
    "row_id",
    (
        *_made("row_id", "the assignment"),
        Column("campaign", "text", "Campaign.", required=True),
        Column("platform", "text", "Platform of the account.", required=True),
        Column("account", "account", "Account that was assigned.", required=True),
        Column("arm", "text", "Arm, e.g. treated or hold_out.", required=True),
        Column("valid_from", "time", "From when.", required=True, low=EARLIEST_TIME),
    ),
)

SPEND: Final = Table(
    "spend",
    "row_id",
    (
        *_made("row_id", "the entry"),
        Column("campaign", "text", "Campaign.", required=True),
        Column("spent_at", "time", "First moment of the day of spending.", required=True, low=EARLIEST_TIME),
        Column("amount", "money", "Spent that day.", required=True, low=0),
        Column("currency", "text", "ISO 4217 code."),
    ),
)

TABLES: Final = {
    t.name: t for t in (EVENTS, NOTES, NOTE_ITEMS, ITEMS, CAMPAIGNS, PEOPLE, IDENTITIES, ASSIGNMENTS, SPEND)
}


def table(name: str) -> Table:
    """Return the canonical table of that name.

    Raises
    ------
    EventLogError
        There is no such table.

    Examples
    --------
    >>> table("events").key
    'event_id'
    """
    if name not in TABLES:
        raise EventLogError("unknown table", value=name, valid=TABLES)
    return TABLES[name]
