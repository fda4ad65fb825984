"""A world as a log to learn from, without the import, and the truth beside it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.impressions.table import Impressions
from features.log.event_log import connect
from features.settings import Settings
from features.world.folder import files_of
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.truth import purchase_within
from features.world.writer import write_world
from training.conversion.examples import LATEST
from training.conversion.source import ConversionSource, Outcomes
from training.source import LogSource
from training.steps import Steps

_CATALOGUE = ("notes", "items", "note_items")
TRUE = {
    "click": "p_click",
    "true_interest": "p_true_interest",
    "link_click": "p_link_click",
    "store_visit": "p_store_visit",
    "cart": "p_cart",
}


def make(settings: WorldSettings, folder: Path) -> None:
    """Make the world, or go on where an earlier run was cut off."""
    write_world(settings, BroadPolicy(), folder)


def source_of(world: Path, home: Settings, outcomes: Outcomes, steps: Steps) -> ConversionSource:
    """Read a world's folder as one version of a log."""
    con = connect(home)

    def read(name: str) -> duckdb.DuckDBPyRelation:
        return con.read_parquet([str(file) for file in files_of(world, name)])

    read("events").order("account, event_time").create("log_events")
    for name in ("identities", *_CATALOGUE):
        read(name).create(f"log_{name}")
    last = con.sql("select max(event_time) from log_events").fetchall()[0][0]
    log = LogSource(
        con, con.table("log_events"), con.table("log_identities"), "UTC", f"world-{world.name}", int(last)
    )
    return ConversionSource(log, {name: con.table(f"log_{name}") for name in _CATALOGUE}, outcomes, steps)


def truth_of(
    world: Path, impressions: Impressions, windows: dict[str, int], targets: tuple[str, ...]
) -> NDArray[np.float64]:
    """Return the true probabilities of impressions, [n, targets].

    What is done with a shop account that is not known to be the person's in time (see `LATEST`) counts as not done:
    there the probability of a store visit and of what follows is 0.
    """
    con = duckdb.connect()
    files = [str(file) for file in sorted((world / "truth" / "impressions").glob("*.parquet"))]
    asked = pa.table({"prediction_id": impressions.table["prediction_id"], "number": np.arange(len(impressions))})  # noqa: F841
    truth = con.read_parquet(files)  # noqa: F841
    found = con.sql(
        "select t.*, number from asked join truth t using (prediction_id) order by number"
    ).to_arrow_table()
    if len(found) != len(impressions):
        raise SystemExit(f"the truth of {len(impressions) - len(found)} impressions is missing")
    linked = found["linked_from"].to_pandas().to_numpy(np.float64)
    columns = []
    for target in targets:
        seen = np.nan_to_num(linked, nan=np.inf) <= impressions.times + windows[target] + LATEST
        own = TRUE.get(target)
        p = purchase_within(found, windows[target] / DAY_SECONDS) if own is None else found[own].to_numpy()
        columns.append(p if target in ("click", "true_interest", "link_click") else np.where(seen, p, 0.0))
    return np.stack(columns, axis=1)
