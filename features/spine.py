"""The spine: for whom and as of when features are computed."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SPINE_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64()),  # 0..n-1, the order of every matrix
        pa.field("person", pa.string()),
        pa.field("instant", pa.int64()),  # epoch seconds: events strictly before it are the past
        pa.field("instant_day", pa.int32()),  # day of the instant in the log's time zone
        pa.field("known_at", pa.int64()),  # only events that had arrived by then are used
    ]
)
ACCOUNTS_SCHEMA = pa.schema([pa.field("row", pa.int64()), pa.field("account", pa.string())])


@dataclass(frozen=True)
class Spine:
    """People × instants, and which accounts were theirs at each.

    Parameters
    ----------
    rows
        One row per feature row, schema ``SPINE_SCHEMA``, ordered by ``row``.
    accounts
        The accounts whose events count for each row, schema ``ACCOUNTS_SCHEMA``.
    """

    rows: pa.Table
    accounts: pa.Table

    def __len__(self) -> int:
        return int(self.rows.num_rows)
