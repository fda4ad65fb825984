"""One retraining in a process of its own, watched from outside: seconds, CPU and memory of each of its steps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.retrain_home import AS_OF
from bench.serving_home import environment

EVERY: Final = 0.1
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MB: Final = 1024
_SAID: Final = re.compile(r"^(.+): done in ([\d.]+) s$", re.MULTILINE)


@dataclass
class Watch:
    """What was seen of a process and its children, time by time.

    Parameters
    ----------
    at
        Epoch seconds.
    cpu
        CPU seconds so far.
    rss
        MB resident in all of them together, pages of files included, as memory that is mapped from them is.
    anonymous
        MB of it that no file backs.
    """

    at: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    anonymous: list[float] = field(default_factory=list)

    def look(self, pid: int) -> None:
        """Note the present moment."""
        seen = [_figures(process) for process in _family(pid)]
        at, cpu = time.time(), sum(one[0] for one in seen)
        self.at.append(at)
        # A child that ended takes its seconds along until its parent has waited for it.
        self.cpu.append(max(cpu, self.cpu[-1] if self.cpu else 0.0))
        self.rss.append(sum(one[1] for one in seen))
        self.anonymous.append(sum(one[2] for one in seen))

    def between(self, start: float, end: float) -> dict[str, float]:
        """Return seconds, CPU seconds and peak MB of a stretch of time."""
        at = np.array(self.at)
        inside = (at >= start) & (at <= end)
        if not inside.any():
            # Shorter than the time between two looks: what was seen nearest to it.
            inside[np.argmin(np.abs(at - end))] = True
        before, after = np.interp([start, end], at, self.cpu)
        return {
            "seconds": round(end - start, 2),
            "cpu_seconds": round(float(after - before), 2),
            "peak_mb": round(float(np.array(self.rss)[inside].max())),
            "peak_anonymous_mb": round(float(np.array(self.anonymous)[inside].max())),
        }


def retrained(home: Path, tags: Path, threads: int, options: Sequence[str] = ()) -> dict[str, Any]:
    """Retrain in a home and return what it came to, with the figures of each step.

    Returns
    -------
    dict
        ``whole`` and ``steps`` with `Watch.between`'s figures, and ``within``, seconds of what the job says.

    Raises
    ------
    subprocess.CalledProcessError
        The job ended otherwise than with models, promoted or not; what it said is printed.
    """
    told, out = home.parent / "summary.json", home.parent / "retrain.log"
    verb = ["retrain", "--taxonomy", str(tags), "--as-of", AS_OF, "--json", str(told), *options]
    watch, started = Watch(), time.time()
    variables = {**os.environ, **environment(home), "ZHONGCAO_THREADS": str(threads), "COLUMNS": "200"}
    with out.open("w", encoding="utf-8") as said:
        command = [sys.executable, "-m", "serving.cli.main", *verb]
        process = subprocess.Popen(command, env=variables, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            watch.look(process.pid)
            time.sleep(EVERY)
    ended, text = time.time(), out.read_text(encoding="utf-8")
    if process.returncode not in {0, 4}:
        sys.stderr.write(text)
        raise subprocess.CalledProcessError(process.returncode, verb)
    summary = json.loads(told.read_text(encoding="utf-8"))
    checkpoints = {path.stem: path.stat().st_mtime for path in (home / "work" / "retrain").glob("*.json")}
    cuts = stretches(started, ended, [(s["name"], checkpoints[s["name"]], s["seconds"]) for s in summary["steps"]])
    return {
        "said": summary["said"],
        "whole": watch.between(started, ended),
        "steps": {name: watch.between(*span) for name, span in cuts.items()},
        "within": {name: float(seconds) for name, seconds in _SAID.findall(text)},
    }


def stretches(
    started: float, ended: float, steps: Sequence[tuple[str, float, float]]
) -> dict[str, tuple[float, float]]:
    """Return when each step began and ended.

    What comes before the first step is ``snapshot``, what comes after the last ``report``, and what a step needs to
    be done before it begins belongs to it.

    Parameters
    ----------
    started, ended
        Of the whole job, epoch seconds.
    steps
        Name, end and length of each, in order.

    Examples
    --------
    >>> stretches(0.0, 9.0, [("check", 3.0, 1.0), ("train", 7.0, 3.0)])
    {'snapshot': (0.0, 2.0), 'check': (2.0, 3.0), 'train': (3.0, 7.0), 'report': (7.0, 9.0)}
    """
    found: dict[str, tuple[float, float]] = {}
    at = started
    for number, (name, end, seconds) in enumerate(steps):
        if not number:
            found["snapshot"] = (at, max(end - seconds, at))
            at = found["snapshot"][1]
        found[name] = (at, max(end, at))
        at = found[name][1]
    return {**found, "report": (at, ended)}


def _family(pid: int) -> list[int]:
    """Return the process and all that it started."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, task.read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def _figures(pid: int) -> tuple[float, float, float]:
    """Return CPU seconds, those of ended children too, and MB resident, all and anonymous; zeros after its end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0, 0.0, 0.0
    said = {name: value for name, _, value in (line.partition(":") for line in lines)}
    resident = [int(said.get(name, "0").split()[0]) / _MB for name in ("VmRSS", "RssAnon")]
    return sum(map(int, fields[11:15])) / _TICKS, resident[0], resident[1]
