"""Heads trained by the workers of a Dask cluster: the same bins everywhere, tags dealt out, texts come back.

Dask's processes talk in pickles, so the cluster must be the user's own: on loopback, or encrypted and closed to
others by TLS certificates.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final
from urllib.parse import urlsplit

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from features.settings import Settings
from training.quality.metrics import Labels
from training.tags.binned import Bins
from training.tags.head_fit import HeadSettings, fit_head
from training.tags.heads import Heads, HeadTrainer, ThreadedHeads, kept_head

LOOK_SECONDS: Final = 10
"""How often it is looked whether the worker of a head is still there."""


def head_trainer(settings: Settings) -> HeadTrainer:
    """Return what the settings say: threads of this process, or the workers of a Dask cluster.

    Raises
    ------
    TrainingError
        The address is neither on loopback nor encrypted.
    """
    return ThreadedHeads(settings.threads) if settings.dask == "off" else DaskHeads(settings.dask)


@dataclass(frozen=True)
class DaskHeads:
    """Trains heads on a Dask cluster, one tag on each thread of its workers; see `training.tags.heads.HeadTrainer`.

    Memory: the client holds the bins twice while it sends them; each worker process holds them once and, for each
    of its threads, a copy of the rows that its head is trained on.

    Parameters
    ----------
    address
        Of the scheduler: ``tcp://127.0.0.1:8786``, or ``tls://host:8786`` with the certificates of Dask's own
        configuration.

    Raises
    ------
    TrainingError
        The address is neither on loopback nor encrypted.
    """

    address: str

    def __post_init__(self) -> None:
        require_private(self.address)

    def fit(
        self,
        bins: Bins,
        labels: Labels,
        active: NDArray[np.bool_],
        settings: HeadSettings,
        *,
        seed: int,
        kept: Path | None = None,
        advance: Callable[[], object] = lambda: None,
    ) -> Heads:
        """Train the heads, see `training.tags.heads.HeadTrainer.fit`.

        Raises
        ------
        TrainingError
            Nobody answers at the address, there are no workers, or one was lost; with `kept` a rerun goes on where
            this one stopped.
        """
        tags = np.flatnonzero(active & settings.learnable(labels)).tolist()
        with connected(self.address) as client:
            places = dict(_spread(client, bins))
            free: SimpleQueue[str] = SimpleQueue()
            threads = 0
            for worker, about in _workers(client).items():
                for _ in range(about["nthreads"] if worker in places else 0):
                    free.put(worker)
                    threads += 1

            def train(own: Labels) -> lgb.Booster:
                worker = free.get()
                try:
                    task = client.submit(
                        _head_text, places[worker], own, settings, seed, workers=[worker], pure=False
                    )
                    return lgb.Booster(model_str=_result(client, task, worker))
                finally:
                    free.put(worker)

            def fit(tag: int) -> tuple[int, lgb.Booster]:
                own = np.ascontiguousarray(labels[:, tag])
                booster = kept_head(kept, own, settings, seed, lambda: train(own))
                advance()
                return tag, booster

            with ThreadPoolExecutor(threads) as pool:
                waiting = [pool.submit(fit, tag) for tag in tags]
                try:
                    return dict(job.result() for job in waiting)
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise


def require_private(address: str) -> None:
    """Refuse a scheduler that strangers could talk to.

    Raises
    ------
    TrainingError
        The address is neither on loopback nor encrypted.

    Examples
    --------
    >>> require_private("tcp://127.0.0.1:8786")
    >>> require_private("tcp://10.0.0.1:8786")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    features.errors.TrainingError: a Dask scheduler must be on loopback or encrypted: 'tcp://10.0.0.1:8786'; ...
    """
    parts = urlsplit(address)
    if not (parts.scheme == "tls" or (parts.scheme == "tcp" and _loopback(parts.hostname or ""))):
        raise TrainingError(
            "a Dask scheduler must be on loopback or encrypted",
            value=address,
            valid=("tcp://127.0.0.1:8786", "tls://host:8786"),
        )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler that has workers.

    Raises
    ------
    TrainingError
        Dask is not installed, nobody answers, or there are no workers.
    """
    try:
        from distributed import Client  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise TrainingError("Dask is not installed", next_step="make scale") from error
    try:
        client = Client(address, timeout=LOOK_SECONDS, set_as_default=False)
    except OSError as error:
        raise TrainingError(
            "no Dask scheduler answers", value=address, next_step="start one: dask scheduler --host 127.0.0.1"
        ) from error
    with client:
        if not _workers(client):
            raise TrainingError(
                "the Dask scheduler has no workers", value=address, next_step=f"start one: dask worker {address}"
            )
        yield client


def _workers(client: Any) -> dict[str, Any]:
    return dict(client.scheduler_info(n_workers=-1)["workers"])


def _spread(client: Any, bins: Bins) -> Iterator[tuple[str, Any]]:
    """Bring the bins to every worker; yield its address and where they lie there."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bins.bin"
        bins.data.save_binary(str(file))
        content = file.read_bytes()
    sent = client.scatter(content, broadcast=True, hash=False)
    del content
    opened = {
        worker: client.submit(_opened, sent, bins.max_bin, bins.params, workers=[worker], pure=False)
        for worker in _workers(client)
    }
    for worker, bins_there in opened.items():
        _result(client, client.submit(len, bins_there, workers=[worker], pure=False), worker)
        yield worker, bins_there


def _opened(content: bytes, max_bin: int, params: dict[str, object]) -> Bins:
    """Read the bins in a worker, which keeps them while the client holds on to the result."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bins.bin"
        file.write_bytes(content)
        return Bins(lgb.Dataset(str(file), params=params).construct(), max_bin)


def _head_text(bins: Bins, labels: Labels, settings: HeadSettings, seed: int) -> str:
    return str(fit_head(bins, labels, settings, seed=seed).model_to_string())


def _result(client: Any, task: Any, worker: str) -> Any:
    """Wait for a task that only one worker can do, as long as that worker is there."""
    while True:
        try:
            return task.result(timeout=LOOK_SECONDS)
        except TimeoutError as error:
            if worker not in _workers(client):
                raise TrainingError(
                    "a Dask worker was lost", value=worker, next_step="see its log, then run this again"
                ) from error
