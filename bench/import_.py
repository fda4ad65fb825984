"""How fast a CSV file gets into the log: rows per CPU second from reading to committed.

    python -m bench.import_ --json PATH

3,000,000 seeded rows of 10 columns by 100,000 accounts, 0.2 % of them bad in one of five ways, 0.5 % duplicates,
go through a mapping: reading, checks, keyed hashes, quarantine, dedupe against everything, one atomic commit.
Beside it a bare ``COPY (SELECT * FROM read_csv(...)) TO parquet`` of DuckDB, which does none of it. CPU is that of
all threads, without Python's imports; each run is a process of its own; figures are medians of three runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from bench.harness import measured, peak_mb, report, write_json
from features.log.event_log import EventLog
from features.log.importing import import_lock, import_rows
from features.log.input import Input
from features.settings import load_settings
from features.sources.mapping import mapping_of
from features.sources.open_reader import open_reader

ACCOUNTS = 100_000
BAD, DUPLICATE = 0.002, 0.005
TARGET = 300_000
HEADER = "event_no,happened_at,user_id,action,sku,category,shop,price,pieces,brand"
MAPPING = {
    "source": "bench",
    "platform": "shop",
    "time": "epoch_s",
    "columns": {
        "event_id": "event_no", "event_time": "happened_at", "account": "user_id", "kind": "action", "item": "sku",
        "category": "category", "shop": "shop", "amount": "price", "quantity": "pieces", "brand": "brand",
    },
    "kinds": {"view": "item_view", "buy": "purchase"},
}  # fmt: skip
_CONTESTANTS = ("ours", "duckdb_copy")


def write_rows(path: Path, rows: int) -> None:
    """Write the CSV file."""
    random = np.random.default_rng(20_240_501)
    with path.open("w", encoding="ascii") as file:
        file.write(HEADER + "\n")
        for first in range(0, rows, 250_000):
            lines = _lines(random, first, min(250_000, rows - first))
            file.write("\n".join(lines) + "\n")


def _lines(random: np.random.Generator, first: int, rows: int) -> list[str]:
    item = random.zipf(1.3, rows) % 40_000
    kind = np.array(["impression", "click", "view", "cart", "buy"])[
        random.choice(5, rows, p=[0.5, 0.2, 0.2, 0.06, 0.04])
    ]
    price = random.lognormal(3, 1, rows).round(2)
    columns = [
        np.arange(first, first + rows), 1_700_000_000 + (first + np.arange(rows)) * 3,
        np.char.add("user-", random.integers(0, ACCOUNTS, rows).astype(str)), kind,
        np.char.add("SKU", item.astype(str)), np.char.add("C", (item % 300).astype(str)),
        np.char.add("S", random.integers(0, 40, rows).astype(str)), price, random.integers(1, 4, rows),
        np.char.add("B", (item % 900).astype(str)),
    ]  # fmt: skip
    lines: list[str] = pc.binary_join_element_wise(
        *(pa.array(column).cast(pa.string()) for column in columns), ","
    ).to_pylist()
    for place in np.flatnonzero(random.random(rows) < DUPLICATE):
        lines[place] = lines[random.integers(0, place + 1)]
    for place in np.flatnonzero(random.random(rows) < BAD):
        fields = lines[place].split(",")
        broken = int(random.integers(0, 5))
        if broken == 4:
            fields.append("one too many")
        else:
            fields[(3, 1, 2, 7)[broken]] = ("clik", "yesterday", "", "-1")[broken]
        lines[place] = ",".join(fields)
    return lines


def _ours(folder: Path, threads: int) -> int:
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    settings = load_settings(home=home, threads=threads, currency="CNY", timezone="UTC")
    mapping = mapping_of(MAPPING, "bench")
    with import_lock(settings):
        log = EventLog.open(settings, create=True)
        summary = import_rows(log, [Input(open_reader(folder / "rows.csv", mapping), mapping)])
    assert summary.read == summary.accepted + summary.duplicates + summary.quarantined
    return summary.read


def _duckdb_copy(folder: Path, threads: int) -> int:
    con = duckdb.connect(config={"threads": threads})
    # One row in 2,500 has a column too many: DuckDB is asked to leave it out.
    source = f"read_csv('{folder}/rows.csv', ignore_errors = true)"
    con.execute(f"COPY (SELECT * FROM {source}) TO '{folder}/copy.parquet'")
    return int(con.execute(f"SELECT count(*) FROM '{folder}/copy.parquet'").fetchall()[0][0])


def _one(contestant: str, folder: Path, threads: int) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    rows = _ours(folder, threads) if contestant == "ours" else _duckdb_copy(folder, threads)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"rows_per_cpu_s": rows / cpu, "seconds": seconds, "cpu_s": cpu, "peak_mb": peak_mb()}))


def main() -> None:
    """Measure both, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.import_")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=_CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        _one(options.only, options.folder, options.threads)
        return
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        with Console(stderr=True).status(f"writing {options.rows:,} rows"):
            write_rows(Path(name) / "rows.csv", options.rows)
        for contestant in _CONTESTANTS:
            with Console(stderr=True).status(f"{contestant}: {options.runs} runs"):
                arguments = ("--only", contestant, "--folder", name, "--threads", str(options.threads))
                figures[contestant] = measured("bench.import_", *arguments, runs=options.runs)
    report(f"{options.rows:,} rows of CSV", figures, ("rows_per_cpu_s", "seconds", "cpu_s", "peak_mb"))
    reached = figures["ours"]["rows_per_cpu_s"] >= TARGET
    print(f"target {TARGET:,} rows per CPU second: {'reached' if reached else 'missed'}")
    write_json(options.json, figures)


if __name__ == "__main__":
    main()
