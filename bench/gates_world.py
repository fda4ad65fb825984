"""Logs for the gates: the tables of simulated worlds in DuckDB, to be spoilt or varied with SQL."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.world import World, run
from training.gates.check import Report
from training.gates.data import TABLES, check_rows

HOUR = 3600


class Log:
    """A world's canonical tables on a connection of its own.

    Parameters
    ----------
    settings
        Of the world, which runs under broad delivery.
    """

    def __init__(self, settings: WorldSettings) -> None:
        self.con = duckdb.connect(config={"threads": 1})
        self.last = settings.end // 86_400 - 1
        self.present = settings.end + 2 * HOUR
        world = World(settings)
        events = pa.concat_tables([day.events for day in run(world, BroadPolicy())])  # noqa: F841 - read by DuckDB
        self.con.execute("CREATE TABLE events AS SELECT * FROM events")
        tables = world.tables()
        for name in TABLES:
            rows = tables[name]  # noqa: F841
            self.con.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")

    def sql(self, statement: str) -> None:
        """Change the tables; ``{last}`` is the number of the last day."""
        self.con.execute(statement.replace("{last}", str(self.last)))

    def check(self) -> Report:
        """Run the data checks as of two hours after the last day."""
        tables = {name: self.con.table(name) for name in TABLES}
        events = self.con.table("events")
        return check_rows(self.con, events, self.present, timezone="UTC", currency="CNY", tables=tables)
