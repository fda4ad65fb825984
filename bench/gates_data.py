"""Data checks on planted defects and on sound logs."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.gates_defects import CHANGES, DEFECTS
from bench.gates_world import Log
from features.world.settings import WorldSettings

SEASONS = {
    "spring": "2024-04-01",
    "618 judged": "2024-05-08",
    "Double 11 judged": "2024-10-04",
    "after Double 11": "2024-10-20",
    "Double 12 judged": "2024-11-01",
}
_SIZES = ((1000, 46), (400, 46), (700, 60), (1500, 28), (700, 18))


def measure(runs: int = 50) -> dict[str, Any]:
    """Return how many defects and how many sound logs were stopped, with what stopped each."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        defects = list(track(pool.map(_planted, range(len(DEFECTS))), "defects", len(DEFECTS)))
        clean = list(track(pool.map(_clean, range(runs)), "sound logs", runs))
    _show(defects, clean)
    return {
        "defects_stopped": sum(bool(one["stopped_by"]) and not one["stopped_before"] for one in defects),
        "defects": len(defects),
        "defects_stopped_by_the_check_meant": sum(one["meant"] in one["stopped_by"] for one in defects),
        "clean_stopped": sum(bool(one["stopped_by"]) for one in clean),
        "clean_runs": len(clean),
        "clean_warned": sum(bool(one["warned"]) for one in clean),
        "by_defect": defects,
        "by_clean_run": clean,
    }


def _planted(number: int) -> dict[str, Any]:
    name, (meant, statements) = list(DEFECTS.items())[number]
    log = Log(WorldSettings(people=1500, days=46, seed=100 + number))
    before = log.check()
    for statement in statements:
        log.sql(statement)
    return {
        "defect": name,
        "meant": meant,
        "stopped_by": [check.name for check in log.check().failed],
        "stopped_before": [check.name for check in before.failed],
    }


def _clean(number: int) -> dict[str, Any]:
    season = list(SEASONS)[number % len(SEASONS)]
    people, days = _SIZES[number // len(SEASONS) % len(_SIZES)]
    change = list(CHANGES)[number % len(CHANGES)]
    log = Log(WorldSettings(people=people, days=days, seed=1000 + number, start=SEASONS[season]))
    for statement in CHANGES[change]:
        log.sql(statement)
    report = log.check()
    return {
        "season": season,
        "people": people,
        "days": days,
        "change": change,
        "stopped_by": [f"{check.name}: {check.said}" for check in report.failed],
        "warned": [check.name for check in report.checks if check.status == "WARN"],
    }


def _show(defects: list[dict[str, Any]], clean: list[dict[str, Any]]) -> None:
    table = Table("planted defect", "check meant", "stopped by", title="Data gates")
    for one in defects:
        table.add_row(one["defect"], one["meant"], ", ".join(one["stopped_by"]) or "nothing")
    for one in clean:
        if one["stopped_by"]:
            log = f"sound log: {one['season']}, {one['people']} people, {one['days']} days, {one['change']}"
            table.add_row(log, "none", "; ".join(one["stopped_by"]))
    Console().print(table)
