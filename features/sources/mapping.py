"""Mapping files: how the columns of an outside file become a canonical table."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from features.days import instant_of
from features.errors import MappingError
from features.events import KINDS, TABLES, Table
from features.named_files import read_named

SKIP: Final = "skip"
"""What `[kinds]` gives to rows that are no events, such as orders that were never paid."""

TIME_UNITS: Final = ("epoch_s", "epoch_ms", "epoch_us", "iso", "day", "order", "basket")

# When a row of each table became true; its arrival is counted from there.
TRUE_FROM: Final = {
    "events": "event_time",
    "notes": "published_at",
    "campaigns": "starts_at",
    "people": "valid_from",
    "identities": "valid_from",
    "assignments": "valid_from",
    "spend": "spent_at",
}

_MINOR_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "JOD": 3, "OMR": 3, "TND": 3}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(_Strict):
    """One value for every row."""

    constant: str | int | float | bool


class Order(_Strict):
    """Times for data that has an order but no clock: row n happens at start + n × step."""

    start: str = Field(description="Instant of the first row, e.g. 2024-01-01.")
    step_seconds: int = Field(1, ge=1, description="Seconds from one row to the next.")


class Basket(_Strict):
    """Times for data that numbers the baskets of each person, and knows no dates."""

    starts: str | None = Field(None, description="Day of everybody's basket 1, e.g. 2024-01-01.")
    ends: str | None = Field(None, description="Day of everybody's last basket.")
    step_days: int | None = Field(None, ge=1, description="Days from one basket to the next, where no column says.")
    days_since: str | int | None = Field(None, description="Source column: days since the person's basket before.")

    @field_validator("starts", "ends")
    @classmethod
    def _day(cls, value: str | None) -> str | None:
        try:
            return value if value is None else date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise ValueError(f"{value!r} is no day such as 2024-01-01") from error

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (("starts", "ends"), ("step_days", "days_since")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise MappingError(
                    f"[basket] takes either {one} or {other}", next_step="give one of the two, not both"
                )
        return self

    @property
    def alone(self) -> bool:
        """Whether a basket's number alone places it in time, whatever other baskets the person has."""
        return self.starts is not None and self.step_days is not None


Reference = str | int | list[str | int] | Constant
"""A source column by name or number, several to join with a colon, or a constant."""


class Mapping(_Strict):
    """A mapping file; see ``docs/connect-a-shop.md``."""

    source: str = Field(min_length=1, description="Name of the source, kept with every row.")
    table: str = Field("events", description="Canonical table that the rows go to.")
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = Field(None, description="By file name if not given.")
    encoding: Literal["utf-8", "gb18030"] = Field("utf-8", description="Encoding of text files.")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="Comma, or tab for tsv.")
    header: bool = Field(True, description="False: columns are referred to by number, the first is 1.")
    timezone: str | None = Field(None, description="Zone of times without offset; the log's by default.")
    time: str = Field(
        "iso", description="epoch_s, epoch_ms, epoch_us, iso, day, order, basket, or a strptime format."
    )
    order: Order | None = Field(None, description="Start and step where time is order.")
    basket: Basket | None = Field(None, description="How numbered baskets lie in time, where time is basket.")
    money: Literal["minor", "major"] = Field("major", description="Unit of amounts: 1299 or 12.99.")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="ISO 4217 code of the amounts.")
    dwell: Literal["ms", "s"] = Field("ms", description="Unit of the reading time.")
    arrival_delay: int = Field(0, ge=0, description="Seconds from an event to its arrival, in a first import.")
    nulls: list[str] = Field(default_factory=list, description="Texts that mean no value, besides the empty one.")
    platform: str | None = Field(None, min_length=1, description="Platform, where no column names it.")
    columns: dict[str, Reference] = Field(description="Canonical column = source column.")
    kinds: dict[str, str] = Field(default_factory=dict, description="Source value = event kind, or skip.")
    values: dict[str, dict[str, str | bool | int | float]] = Field(
        default_factory=dict, description="Canonical column → source value = canonical value."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}, use an IANA name such as Asia/Shanghai") from error

    @model_validator(mode="after")
    def _fits_its_table(self) -> Self:
        if self.table not in TABLES:
            raise MappingError("unknown table", value=self.table, valid=TABLES)
        allowed = [c.name for c in self.canonical.columns if not c.made]
        for name in (*self.columns, *self.values):
            if name not in allowed:
                raise MappingError(f"table {self.table} takes no column", value=name, valid=allowed)
        if self.time not in TIME_UNITS and "%" not in self.time:
            raise MappingError("unknown time unit", value=self.time, valid=(*TIME_UNITS, "a strptime format"))
        if (self.time == "order") != (self.order is not None):
            raise MappingError("time = 'order' and [order] go together", next_step="give both or neither")
        if self.kinds and self.table != "events":
            raise MappingError("only events have [kinds]", next_step="use [values.COLUMN] to translate values")
        for meant in self.kinds.values():
            if meant not in (*KINDS, SKIP):
                raise MappingError("unknown event kind in [kinds]", value=meant, valid=(*KINDS, SKIP))
        kind = self.columns.get("kind")
        if isinstance(kind, Constant) and kind.constant not in KINDS:
            raise MappingError("unknown event kind", value=kind.constant, valid=KINDS)
        given = {*self.columns, *self.made}
        for column in self.canonical.columns:
            if column.required and not column.made and column.name not in given and not self._made_up(column.name):
                raise MappingError(
                    f"nothing is mapped to the required column {column.name}",
                    valid=[f'{column.name} = "SOURCE COLUMN"', f'{column.name} = {{ constant = "VALUE" }}'],
                    next_step="add it to [columns]",
                )
        return self

    @model_validator(mode="after")
    def _places_its_baskets(self) -> Self:
        if (self.time == "basket") != (self.basket is not None):
            raise MappingError("time = 'basket' and [basket] go together", next_step="give both or neither")
        if self.basket is not None and (self.table != "events" or "arrived_at" in self.columns):
            raise MappingError(
                "only events are placed by baskets, and nobody knows when those arrived",
                next_step="give another time, or no arrived_at",
            )
        return self

    @property
    def canonical(self) -> Table:
        """The canonical table that the rows go to."""
        return TABLES[self.table]

    @property
    def made(self) -> dict[str, Constant]:
        """Columns that top-level entries fill."""
        names = [c.name for c in self.canonical.columns]
        found: dict[str, Constant] = {}
        if self.platform is not None and "platform" in names:
            found["platform"] = Constant(constant=self.platform)
        return found

    @property
    def source_columns(self) -> list[str]:
        """Source columns that the mapping reads, each once."""
        found: dict[str, None] = {}
        for reference in self.columns.values():
            if not isinstance(reference, Constant):
                listed = reference if isinstance(reference, list) else [reference]
                found |= dict.fromkeys(str(column) for column in listed)
        if self.basket is not None and self.basket.days_since is not None:
            found[str(self.basket.days_since)] = None
        return list(found)

    @property
    def true_from(self) -> str | None:
        """The mapped column that says when a row became true."""
        name = TRUE_FROM.get(self.table)
        return name if name in self.columns or self.order is not None else None

    @property
    def hash(self) -> str:
        """Short hash of everything the mapping says."""
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]

    def minor_digits(self, currency: str) -> int:
        """Return the number of decimals of the amounts' currency."""
        return minor_digits(self.currency or currency)

    def order_start(self, timezone: str) -> int:
        """Return the instant of the first row where time is mere order."""
        return 0 if self.order is None else instant_of(self.order.start, self.timezone or timezone)

    def _made_up(self, name: str) -> bool:
        keyed_by_hash = self.table not in ("notes", "items", "campaigns") and name == self.canonical.key
        return (
            name == "arrived_at" or keyed_by_hash or (self.order is not None and name == TRUE_FROM.get(self.table))
        )


def minor_digits(currency: str) -> int:
    """Return the number of decimals of a currency.

    Examples
    --------
    >>> minor_digits("CNY"), minor_digits("JPY")
    (2, 0)
    """
    return _MINOR_DIGITS.get(currency, 2)


def mapping_of(content: dict[str, Any], origin: str) -> Mapping:
    """Check a mapping's content.

    Raises
    ------
    MappingError
        A key is unknown, a value wrong, or a required column without source; the message names `origin`.
    """
    try:
        return Mapping.model_validate(content)
    except MappingError as error:
        raise MappingError(f"{origin}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MappingError(
            f"{origin}: {place}: {first['msg']}",
            value=first.get("input"),
            valid=list(Mapping.model_fields) if first["type"] == "extra_forbidden" else (),
        ) from error


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    MappingError
        The file cannot be read or is not a valid mapping.
    """
    first = "zhongcao mapping draft DATA --out FILE writes a first one"
    return load_text(read_named(path, "mapping", MappingError, first), str(path))


def load_text(text: str, origin: str) -> Mapping:
    """Read the text of a mapping file.

    Raises
    ------
    MappingError
        The text is not a valid mapping; the message names `origin`.
    """
    try:
        return mapping_of(tomllib.loads(text), origin)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{origin} is not TOML: {error}") from error
