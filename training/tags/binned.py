"""A matrix as LightGBM's bins: made once, kept on disk, shared by every head that is trained on it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.durable import publish
from features.locks import exclusive
from training.quality.metrics import Labels
from training.tags.pairs import Matrix

SAMPLE_BYTES: Final = 2**27
"""Bin edges are found on as many rows, drawn with a fixed seed, as fit into this: 100,000 of 160 columns."""

_BINS: Final = "bins.bin"
_ABOUT: Final = "about.json"


@dataclass(frozen=True)
class Bins:
    """The codes of a matrix and their bin edges: one byte a value, two where `max_bin` is above 255.

    Parameters
    ----------
    data
        The constructed data set; its labels are zeros. It is only read, so threads may share it.
    max_bin
        Most bins of a column.
    """

    data: lgb.Dataset
    max_bin: int

    def __len__(self) -> int:
        return int(self.data.num_data())

    @property
    def columns(self) -> int:
        """Columns of the matrix."""
        return int(self.data.num_feature())

    @property
    def params(self) -> dict[str, object]:
        """Parameters that the bins were made with; training has to name the same ones."""
        return _params(self.max_bin, self.columns)

    def labelled(self, labels: Labels, rows: NDArray[np.int64] | None = None) -> lgb.Dataset:
        """Return a copy of all rows, or of some, with labels of its own: what one thread trains on.

        Parameters
        ----------
        labels
            0 or 1 for each row of the copy.
        rows
            Ascending numbers of the copied rows; all by default.

        Examples
        --------
        >>> bins = bin_matrix([np.arange(8, dtype=np.float32).reshape(4, 2)])
        >>> bins.labelled(np.array([1, 0], np.uint8), np.array([0, 3])).num_data()
        2
        """
        part = self.data.subset(range(len(self)) if rows is None else rows.tolist()).construct()
        return part.set_label(labels.astype(np.float32))


def bin_matrix(parts: Sequence[Matrix], columns: NDArray[np.int64] | None = None, *, max_bin: int = 63) -> Bins:
    """Find bin edges and code every value.

    Memory: the codes, and while it runs `SAMPLE_BYTES` about three times. The parts may be memory-mapped; they are
    read some thousand rows at a time and never joined.

    Parameters
    ----------
    parts
        Rows, one part after the other, float32 [n, width].
    columns
        Numbers of the columns that are coded, in their order; all by default.
    max_bin
        Most bins of a column.
    """
    blocks = [_Rows(part, columns) for part in parts]
    labels = np.zeros(sum(len(block) for block in blocks), dtype=np.float32)
    width = parts[0].shape[1] if columns is None else len(columns)
    return Bins(lgb.Dataset(blocks, labels, params=_params(max_bin, width)).construct(), max_bin)


def open_bins(
    folder: Path,
    parts: Callable[[], Sequence[Matrix]],
    columns: NDArray[np.int64] | None = None,
    *,
    max_bin: int = 63,
) -> Bins:
    """Read the bins that an earlier run left in a folder, or make them and leave them there.

    A folder that a crash or a broken disk left without its whole content is made again.

    Parameters
    ----------
    folder
        Named by the caller after everything that the rows and columns depend on.
    parts
        Called for the rows where the bins are not there yet.
    columns, max_bin
        As for `bin_matrix`.
    """
    target = folder / f"max_bin_{max_bin}_lightgbm_{lgb.__version__}"
    with exclusive(folder / "lock"):
        if not _whole(target):
            bins = bin_matrix(parts(), columns, max_bin=max_bin)
            _leave(bins, target)
            return bins
        params = _params(max_bin, int(json.loads((target / _ABOUT).read_text(encoding="utf-8"))["columns"]))
        return Bins(lgb.Dataset(str(target / _BINS), params=params).construct(), max_bin)


def _leave(bins: Bins, target: Path) -> None:
    work = target.with_name(f"{target.name}.part")
    for old in (target, work):
        shutil.rmtree(old, ignore_errors=True)
    work.mkdir()
    # What is made of sequences leaves LightGBM's messages of this thread on; what is made of arrays turns them off.
    lgb.Dataset(np.zeros((1, 1)), params={"verbosity": -1}).construct()
    bins.data.save_binary(str(work / _BINS))
    about = {"sha256": _digest(work / _BINS), "columns": bins.columns}
    (work / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    publish(work, target)


def _whole(target: Path) -> bool:
    """Tell whether the bins are there as they were written: LightGBM would crash on others."""
    try:
        about = json.loads((target / _ABOUT).read_text(encoding="utf-8"))
        return bool(about["sha256"] == _digest(target / _BINS))
    except (FileNotFoundError, ValueError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _params(max_bin: int, columns: int) -> dict[str, object]:
    return {
        "max_bin": max_bin,
        "bin_construct_sample_cnt": max(1_000, SAMPLE_BYTES // (8 * columns)),
        # What a head may split on depends on its own labels, not on those of the bins.
        "feature_pre_filter": False,
        "verbosity": -1,
    }


class _Rows(lgb.Sequence):  # type: ignore[misc]
    """Rows of one part, in the form in which LightGBM reads them some at a time."""

    batch_size = 4096

    def __init__(self, part: Matrix, columns: NDArray[np.int64] | None) -> None:
        self.part = part
        self.columns = columns

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: Any) -> NDArray[np.float64]:
        rows = self.part[index]
        return np.asarray(rows if self.columns is None else rows[..., self.columns], dtype=np.float64)
