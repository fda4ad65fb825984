"""The prediction API under load, beside the same scorer on bare Starlette, stock BentoML and MLflow's own server.

    python -m bench.serving --json bench/results/serving.json

Makes a home in ``--folder`` the first time (a simulated world of 3,000 people, 224 tags, conversion models; some
minutes), or serves from ``--home``: one that ``zhongcao retrain``, ``train conversion`` and ``fill`` went over.
Every server is a process on the first core, the sender one on the last, over connections to 127.0.0.1 that stay
open. Contestants take turns of some seconds; each figure is the median over the turns, each ratio that of the
ratios of one turn. ``idle`` is the share of a turn in which the sender had nothing to do: near 0, the sender is
measured. ``cpu_ms`` is what the server used per answer: on a machine with other work it says more than the wall.

- One person, all tags, computed: 16 connections, each with one request on its way. ``starlette`` is the same
  handler (store read, scorer, JSON) without anything around it, ``constant`` answers bytes of the same size without
  any work; ``bentoml`` and ``mlflow`` score the same model but are given the row of features, as a data frame.
- 500 candidates of one person, one request after another: CPU of all threads of the server, median.
- The same requests, due at the instants of a Poisson process: at 80 % of the capacity, which 4 connections without
  pause reach, and at 4 times the capacity. ``goodput`` counts answers with status 200.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from bench.harness import medians, report, write_json
from bench.serving_bodies import conversion_bodies, tag_bodies
from bench.serving_home import made_home
from bench.serving_processes import cpu_seconds, ours, peer, sent

PEERS = {"starlette": "/v1/tags", "constant": "/v1/tags", "bentoml": "/predict", "mlflow": "/invocations"}
CONNECTIONS = 16
WARM = 20
MOST_CONNECTIONS = 256
JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving")
    parser.add_argument("--home", type=Path, help="a home with both champions; made in --folder by default")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-serving"), help="where a made home is kept")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn of one contestant")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", choices=("tags", "candidates"))
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    home = (options.home or made_home(options.folder)).resolve()
    figures: dict[str, Any] = {"turns": options.turns, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "candidates":
            figures |= tags(home, Path(folder), options.turns, options.seconds)
        if options.only != "tags":
            figures |= candidates(home, Path(folder), options.turns, options.seconds)
    write_json(options.json, figures)


def tags(home: Path, folder: Path, turns: int, seconds: float) -> dict[str, Any]:
    """Measure requests for all tags of one person."""
    bodies = tag_bodies(home, folder)
    with ExitStack() as stack:
        pid, port = stack.enter_context(ours(home))
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/tags", content=_texts(bodies["keys"])[0], headers=JSON)
        answer.raise_for_status()
        (folder / "constant.json").write_bytes(answer.content)
        servers = {"zhongcao": (pid, port)}
        servers |= {name: stack.enter_context(peer(name, home, folder)) for name in PEERS}
        order = {"connections": CONNECTIONS, "seconds": seconds}
        results: list[dict[str, dict[str, Any]]] = []
        for _ in range(turns):
            results.append({})
            for name, (pid, port) in servers.items():
                asked = {**order, "port": port, "path": PEERS.get(name, "/v1/tags")}
                results[-1][name] = sent(pid, asked, bodies.get(name, bodies["keys"]))
    rows = {name: _medians([result[name] for result in results]) for name in servers}
    ratios = {
        f"vs_{name if name != 'bentoml' else 'stock_bentoml'}": _ratio(results, "per_s", "zhongcao", name)
        for name in PEERS
    }
    ratios |= {
        f"cpu_{name}": _ratio(results, "cpu_ms", name[3:].removeprefix("stock_"), "zhongcao") for name in ratios
    }
    ratios["p99_vs_starlette"] = _ratio(results, "p99_ms", "zhongcao", "starlette")
    table = {
        name: {"zhongcao / it": _ratio(results, "per_s", "zhongcao", name), **row} for name, row in rows.items()
    }
    title = (
        f"POST /v1/tags for one person, {len(answer.json()['people'][0]['tags'])} tags, {CONNECTIONS} connections"
    )
    report(title, table, ["zhongcao / it", "per_s", "p50_ms", "p99_ms", "cpu_ms", "idle"])
    return {**ratios, "answer_bytes": len(answer.content), "tags": rows}


def candidates(home: Path, folder: Path, turns: int, seconds: float) -> dict[str, Any]:
    """Measure requests for 500 candidates of one person: their CPU, and what happens beyond the capacity."""
    bodies = conversion_bodies(home, folder)
    with ours(home) as (pid, port):
        cpu, took = one_by_one(pid, port, bodies)
        order = {"port": port, "path": "/v1/conversions", "seconds": 2 * seconds}
        results: list[dict[str, dict[str, Any]]] = []
        for turn in range(turns):
            peak = sent(pid, {**order, "connections": 4}, bodies)
            scheduled = {**order, "connections": MOST_CONNECTIONS, "seed": turn}
            results.append({
                "peak": peak,
                "80 %": sent(pid, {**scheduled, "rate": 0.8 * peak["per_s"]}, bodies),
                "4 times": sent(pid, {**scheduled, "rate": 4 * peak["per_s"]}, bodies),
            })  # fmt: skip
    rows = {name: _medians([result[name] for result in results]) for name in results[0]}
    figures = {
        "candidates_500_ms": cpu,
        "candidates_500_wall_ms": took,
        "overload_p99_ratio": _ratio(results, "p99_ms", "4 times", "80 %"),
        "overload_goodput": _ratio(results, "per_s", "4 times", "peak"),
    }
    report("500 candidates of one person", {"one by one": {"CPU ms, median": cpu, "wall ms, median": took}},
           ["CPU ms, median", "wall ms, median"])  # fmt: skip
    title = (
        f"500 candidates: p99 {figures['overload_p99_ratio']:.2f} times, goodput {figures['overload_goodput']:.2f}"
    )
    report(title, rows, ["offered_per_s", "per_s", "p50_ms", "p99_ms", "cpu_ms", "idle"])
    return {**figures, "candidates": rows}


def one_by_one(pid: int, port: int, bodies: Path) -> tuple[float, float]:
    """Return the median CPU ms of the server and wall ms of a request, over all bodies."""
    texts, cpu, wall = _texts(bodies), [], []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=JSON, timeout=60) as http:
        for text in [*texts[:WARM], *texts]:
            before, started = cpu_seconds(pid), time.perf_counter()
            http.post("/v1/conversions", content=text).raise_for_status()
            wall.append(time.perf_counter() - started)
            # What follows an answer belongs to it, too.
            time.sleep(0.002)
            cpu.append(cpu_seconds(pid) - before)
    return 1e3 * statistics.median(cpu[WARM:]), 1e3 * statistics.median(wall[WARM:])


def _texts(bodies: Path) -> list[str]:
    texts: list[str] = json.loads(bodies.read_text(encoding="utf-8"))
    return texts


def _medians(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return medians([{k: v for k, v in result.items() if isinstance(v, int | float)} for result in results])


def _ratio(results: Sequence[Mapping[str, Mapping[str, Any]]], figure: str, one: str, other: str) -> float:
    return statistics.median(result[one][figure] / result[other][figure] for result in results)


if __name__ == "__main__":
    main()
