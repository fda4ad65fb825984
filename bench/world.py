"""How fast a world is made: events per CPU second, with and without writing, and how that grows with people.

    python -m bench.world --json PATH

Worlds of 10 k and 100 k people over 8 days with 12 campaigns: people made, every draw, the truth with the
worlds without each campaign and each paid note, canonical tables; "written" adds Parquet files of everything.
Beside it the usual way to make up a log, a loop over people (`bench.world_peer`), on 5 k people, in turn with
ours on as many. CPU is that of all threads, without Python's imports; each run is a process of its own; figures
are medians of three runs. ``--long`` adds one run of 100 k people over 90 days: a world of a million people is
ten of those parts one after the other, in the memory of one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench import world_peer
from bench.harness import child, in_turn, peak_mb, report, write_json
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.world import World, run
from features.world.writer import write_world

TARGET = 500_000
DAYS = 8
_COLUMNS = ("events_per_cpu_s", "events", "cpu_s", "seconds", "peak_mb")


def _ours(people: int, days: int, folder: Path | None) -> int:
    settings = WorldSettings(people=people, days=days)
    if folder is not None:
        return write_world(settings, BroadPolicy(), folder).events
    world = World(settings)
    events = sum(day.coded.num_rows for day in run(world, BroadPolicy()))
    world.tables()
    world.truth()
    return events


def _one(contestant: str, people: int, days: int, *, writes: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if writes else None
        started, cpu = time.perf_counter(), time.process_time()
        events = (_ours if contestant == "ours" else world_peer.write)(people, days, folder)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    figures = {"events_per_cpu_s": events / cpu, "events": events, "cpu_s": cpu, "seconds": seconds}
    print(json.dumps(figures | {"peak_mb": peak_mb()}))


def main() -> None:
    """Measure all, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.world")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--long", action="store_true", help="also 100 k people over 90 days, once")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=4, metavar=("CONTESTANT", "PEOPLE", "DAYS", "WRITES"))
    given = parser.parse_args()
    if given.child:
        contestant, people, days, writes = given.child
        _one(contestant, int(people), int(days), writes=writes == "yes")
        return
    contestants = {
        "100 k people, written": ("ours", "100000", str(DAYS), "yes"),
        "100 k people": ("ours", "100000", str(DAYS), "no"),
        "10 k people, written": ("ours", "10000", str(DAYS), "yes"),
        "5 k people, written": ("ours", "5000", str(DAYS), "yes"),
        "a loop over 5 k people, written": ("peer", "5000", str(DAYS), "yes"),
    }
    found = in_turn("bench.world", {name: ("--child", *words) for name, words in contestants.items()}, given.runs)
    if given.long:
        found["100 k people over 90 days, written"] = child("bench.world", "--child", "ours", "100000", "90", "yes")
    rates = {name: figures["events_per_cpu_s"] for name, figures in found.items()}
    ratios = {
        "events_per_cpu_second": rates["100 k people, written"],
        "events_per_cpu_second_without_writing": rates["100 k people"],
        "over_target": rates["100 k people, written"] / TARGET,
        "over_loop": rates["5 k people, written"] / rates["a loop over 5 k people, written"],
        "cpu_per_event_100k_over_10k": rates["10 k people, written"] / rates["100 k people, written"],
    }
    report("ratios", {name: {"value": value} for name, value in ratios.items()}, ("value",))
    report(f"worlds of {DAYS} days", found, _COLUMNS)
    write_json(given.json, {**ratios, "target": TARGET, "days": DAYS, "runs": given.runs, "figures": found})


if __name__ == "__main__":
    main()
