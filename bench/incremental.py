"""What a live event costs: folding it into a person's state, and reading the fresh row; beside the batch.

    python -m bench.incremental --json bench/results/incremental.json

A simulated world with all event kinds, and the default layout of a taxonomy of 28 verticals x 7 patterns.
``typical`` is a person of about 300 events, ``heavy`` one of about 6,000, made of several accounts. All figures are
CPU time of one thread, medians of the rounds, in microseconds:

- ``fold N``: an event, where N come at once as rows of the inbox; encoding included;
- ``row``: the wide row as of now, label history included, from an unpacked state;
- ``batch``: the same row by `features.rows.build` and `features.rows.outcomes`, in DuckDB over the person's
  own events;
- ``pack``, ``unpack``, and the bytes of the packed state; ``settled``: once it forgot what no later row counts.

``states_per_s`` is of everybody, from the log, on the same thread. ``differing`` counts values of some people's
rows whose bits are not the batch's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from rich.console import Console

from bench.harness import report, write_json
from features.events import KINDS
from features.incremental.build import states_of
from features.incremental.live_layout import REQUIRED, LiveLayout
from features.incremental.state import PersonState
from features.people.population import population
from features.rows.build import build_rows
from features.rows.catalog import layout_for
from features.rows.outcomes import fit_thresholds, label_history
from features.spine import Spine, spine_of
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.world import World

SIZES: Final = {"typical": 300, "heavy": 6_000}
RULES: Final = (
    "count(purchase) >= 1",
    "days(purchase) >= 2",
    "sum(purchase, amount) >= quantile(sum(purchase, amount, past=30), 0.8)",
    "count(purchase) >= 1 and count(purchase, past=90) == 0",
    'share(count(purchase, where="coupon"), count(purchase)) >= 0.5',
    'count(read, where="deep_read") + count(like | save | comment | share | link_click) >= 1',
    "count(click | like | save | comment | share | link_click) >= 1 and count(purchase) == 0",
)
COLUMNS: Final = (
    "events",
    "bytes",
    "row",
    "batch",
    "batch_over_row",
    "fold 1",
    "fold 10",
    "fold 100",
    "pack",
    "unpack",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.incremental")
    parser.add_argument("--people", type=int, default=800)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sample", type=int, default=40, help="people whose rows are compared with the batch's")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    world = World(WorldSettings(people=options.people, days=options.days, campaigns=10))
    table = pa.concat_tables([world.step(day, BroadPolicy()).events for day in range(options.days)])
    con = duckdb.connect(config={"threads": 1})
    con.from_arrow(table).create("log_events")
    events = con.table("log_events")
    instant = int(events.aggregate("max(event_time)").fetchall()[0][0]) - 40_000
    taxonomy = _taxonomy(sorted(c for (c,) in events.project("category").distinct().fetchall() if c))
    spine = population(events, None, [instant], "UTC")
    thresholds = fit_thresholds(taxonomy, events, spine)
    levels = {key: float(values[0]) for key, values in thresholds.at(np.array([instant])).items()}
    live = LiveLayout(layout_for(taxonomy, KINDS), "UTC", taxonomy, levels)

    def batch(relation: Any, of: Spine) -> Any:
        return build_rows(live.layout, relation, of, label_history(taxonomy, relation, of, thresholds))

    list(states_of(live, events, spine.take([0, 1])))  # compiles
    started = time.thread_time()
    states = dict(states_of(live, events, spine))
    building = time.thread_time() - started
    chosen = np.sort(np.random.default_rng(7).choice(len(spine), options.sample, replace=False))
    sample = spine.take(chosen)
    found = np.stack([live.row(states[person], instant) for person in sample.persons])
    differing = int((found.view(np.int32) != batch(events, sample).view(np.int32)).sum())
    rows = {}
    for name, size in SIZES.items():
        person = spine_of({name: _accounts(events, size)}, [instant])
        own = con.from_arrow(events.join(con.from_arrow(person.accounts), "account").to_arrow_table())
        own.create(f"events_{name}")
        ((_, state),) = states_of(live, con.table(f"events_{name}"), person)
        assert (live.row(state, instant).view(np.int32) == batch(own, person)[0].view(np.int32)).all()
        wanted = (*REQUIRED, *live.kept.columns)
        recent = con.table(f"events_{name}").order("event_time desc").limit(100).project(", ".join(wanted))
        rows[name] = _figures(
            live, state, recent.to_arrow_table().to_pylist(), instant,
            lambda name=name, person=person: batch(con.table(f"events_{name}"), person), options.runs,
        )  # fmt: skip
    figures = {"people": len(states), "events": len(table), "width": live.layout.width,
               "states_per_s": len(states) / building, "events_per_s": len(table) / building,
               "differing": differing, "compared": int(found.size)}  # fmt: skip
    report("a live event, CPU microseconds", rows, COLUMNS)
    Console().print({name: round(value) for name, value in figures.items()})
    write_json(options.json, {**rows, **figures})


def _figures(  # noqa: PLR0917
    live: LiveLayout,
    state: PersonState,
    recent: list[dict[str, Any]],
    instant: int,
    batch: Callable[[], Any],
    runs: int,
) -> dict[str, float]:
    packed = state.pack()
    settled = live.unpack(packed)
    settled.settle(instant)
    tasks: dict[str, tuple[int, Callable[[], Any]]] = {
        "row": (20, lambda: live.row(state, instant)),
        "batch": (1, batch),
        "pack": (20, state.pack),
        "unpack": (20, lambda: live.unpack(packed)),
    }
    for at_once in (1, 10, 100):
        tasks[f"fold {at_once}"] = (1, lambda at_once=at_once: _fold(live, packed, recent, at_once))
    seen: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, (times, task) in tasks.items():
            started = time.thread_time()
            spent = [task() for _ in range(times)][-1]
            took = time.thread_time() - started
            seen[name].append(spent if name.startswith("fold") else took / times * 1e6)
    medians = {name: statistics.median(values) for name, values in seen.items()}
    return {
        "events": len(state), "bytes": len(packed), "settled_events": len(settled),
        "settled_bytes": len(settled.pack()), **medians, "batch_over_row": medians["batch"] / medians["row"],
    }  # fmt: skip


def _fold(live: LiveLayout, packed: bytes, recent: list[dict[str, Any]], at_once: int) -> float:
    """Return microseconds an event."""
    state = live.unpack(packed)
    started = time.thread_time()
    for start in range(0, len(recent), at_once):
        live.fold(state, recent[start : start + at_once])
    return (time.thread_time() - started) / len(recent) * 1e6


def _accounts(events: duckdb.DuckDBPyRelation, size: int) -> list[str]:
    """Return accounts that have about so many events together: the one nearest to it, or the busiest ones."""
    counts = events.aggregate("account, count(*) as n").order("n desc, account").fetchall()
    if counts[0][1] > size:
        return [min(counts, key=lambda row: (abs(row[1] - size), row[0]))[0]]
    together = np.cumsum([n for _, n in counts])
    return [account for account, _ in counts[: int(np.searchsorted(together, size)) + 1]]


def _taxonomy(categories: list[str]) -> Taxonomy:
    verticals = [{"id": c, "name": c, "name_zh": c, "categories": [c]} for c in categories]
    patterns = [
        {
            "id": f"p{n}",
            "name": f"{{vertical}} {n}",
            "name_zh": f"{{vertical}} {n}",
            "meaning": "{vertical}",
            "rule": r,
        }
        for n, r in enumerate(RULES)
    ]
    return taxonomy_of({"name": "bench", "horizon_days": 30, "vertical": verticals, "pattern": patterns})


if __name__ == "__main__":
    main()
