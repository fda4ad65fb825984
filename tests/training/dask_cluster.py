"""Dask clusters of processes on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.beyond import require


@contextmanager
def cluster_of(workers: int, folder: Path) -> Iterator[str]:
    """Start a cluster whose every port is on loopback, and give the scheduler's address."""
    require("distributed")
    from distributed import LocalCluster  # noqa: PLC0415  (an extra)

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,
        local_directory=str(folder),
    ) as cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start two workers and give the scheduler's address."""
    with cluster_of(2, tmp_path_factory.mktemp("dask")) as address:
        yield address
