"""Matrices on disk, written block by block as NumPy's .npy files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from features.rows.layout import Rows


def save_blocks(path: Path, shape: tuple[int, int], blocks: Iterable[Rows]) -> None:
    """Write a float32 matrix that is never held as a whole; the file is the one that ``np.save`` would write.

    Parameters
    ----------
    path
        The file; replaced where it is there.
    shape
        Of the matrix.
    blocks
        Its rows in order, float32 [any, shape[1]].

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "m.npy"
    ...     save_blocks(path, (3, 2), [np.zeros((2, 2), np.float32), np.ones((1, 2), np.float32)])
    ...     np.load(path).tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
