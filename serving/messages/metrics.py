"""What the server counts, as Prometheus reads it: no ids, and no label whose values callers choose."""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Final

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends of the histogram's bins, seconds."""

_OTHER: Final = "other"
Samples = Callable[[], Mapping[tuple[tuple[str, str], ...], float]]
"""Label pairs → value, looked up when somebody asks."""


class Metrics:
    r"""Counts requests by route and class of status, and how long they took.

    Parameters
    ----------
    routes
        Templates of all routes; what came for any other path is counted as ``other``.

    Examples
    --------
    >>> metrics = Metrics(["/v1/tags", "/v1/tags/{tag}"])
    >>> metrics.answered("/v1/tags/dairy.will-buy", 200, 0.004)
    >>> metrics.answered("/v1/tgas?x=1", 404, 0.001)
    >>> print(*[line for line in metrics.text().splitlines() if "requests_total{" in line], sep="\n")
    zhongcao_requests_total{route="/v1/tags/{tag}",status="2xx"} 1
    zhongcao_requests_total{route="other",status="4xx"} 1
    """

    def __init__(self, routes: list[str]) -> None:
        self._routes = frozenset(route for route in routes if "{" not in route)
        patterns = {route: re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)) for route in routes if "{" in route}
        self._patterns = {route: re.compile(pattern) for route, pattern in patterns.items()}
        self._requests: dict[tuple[str, str], int] = {}
        self._refused: dict[str, int] = {}
        self._bins: dict[str, list[int]] = {route: [0] * (len(_BOUNDS) + 1) for route in [*routes, _OTHER]}
        self._seconds: dict[str, float] = dict.fromkeys([*routes, _OTHER], 0.0)
        self._gauges: dict[str, tuple[str, Samples]] = {}
        self._started = time.time()

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        route = path if path in self._routes else self._template(path)
        key = route, f"{status // 100}xx" if status else "none"
        self._requests[key] = self._requests.get(key, 0) + 1
        self._bins[route][bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[route] += seconds

    def _template(self, path: str) -> str:
        return next((route for route, pattern in self._patterns.items() if pattern.fullmatch(path)), _OTHER)

    def refused(self, kind: str) -> None:
        """Count a request that was refused or given up, by the name of the kind of error."""
        self._refused[kind] = self._refused.get(kind, 0) + 1

    def gauge(self, name: str, meaning: str, samples: Samples) -> None:
        """Show what `samples` returns when somebody asks."""
        self._gauges[name] = meaning, samples

    def text(self) -> str:
        """Return all of them in the text format of Prometheus."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests answered, by route and class of status.")
        for (route, status), count in sorted(self._requests.items()):
            yield _line("requests_total", (("route", route), ("status", status)), count)
        yield from _head("refused_total", "counter", "Requests refused or given up, by kind of error.")
        for kind, count in sorted(self._refused.items()):
            yield _line("refused_total", (("kind", kind),), count)
        yield from _head("request_seconds", "histogram", "From the head of a request to the end of its answer.")
        for route, bins in self._bins.items():
            if not (total := sum(bins)):
                continue
            for bound, count in zip([*map(str, _BOUNDS), "+Inf"], accumulate(bins), strict=True):
                yield _line("request_seconds_bucket", (("route", route), ("le", bound)), count)
            yield _line("request_seconds_sum", (("route", route),), self._seconds[route])
            yield _line("request_seconds_count", (("route", route),), total)
        for name, (meaning, samples) in self._gauges.items():
            yield from _head(name, "gauge", meaning)
            for labels, value in samples().items():
                yield _line(name, labels, value)
        yield from self._process()

    def _process(self) -> Iterator[str]:
        # Names that dashboards for any program know.
        times = os.times()
        yield "# TYPE process_cpu_seconds_total counter"
        yield f"process_cpu_seconds_total {times.user + times.system:.2f}"
        yield "# TYPE process_start_time_seconds gauge"
        yield f"process_start_time_seconds {self._started:.0f}"
        if (resident := _resident_bytes()) is not None:
            yield "# TYPE process_resident_memory_bytes gauge"
            yield f"process_resident_memory_bytes {resident}"


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP zhongcao_{name} {meaning}"
    yield f"# TYPE zhongcao_{name} {kind}"


def _line(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"zhongcao_{name}{{{inside}}} {value:.15g}" if inside else f"zhongcao_{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _resident_bytes() -> int | None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
