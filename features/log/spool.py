"""Canonical rows on their way into the log: kept on disk, chunk by chunk, until all duplicates are known."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.log.canonical import ID_HASH

Positions = npt.NDArray[np.int64]
_PACKED: Final = pa.ipc.IpcWriteOptions(compression="lz4")
"""A quarter of the disk in the same time: as is, an event takes about 260 bytes."""


@dataclass
class Spooled:
    """One spooled chunk; 16 bytes of memory a row.

    Parameters
    ----------
    path
        Arrow file with ``record``, the key and the mapped canonical columns.
    file
        Number of the source file within the import.
    hashes
        64-bit hash of each row's id.
    records
        Position of each row in its source file.
    """

    path: Path
    file: int
    hashes: npt.NDArray[np.uint64]
    records: Positions

    def read(self) -> pa.Table:
        """Return the rows."""
        with pa.memory_map(str(self.path)) as source:
            return pa.ipc.open_file(source).read_all()


class Spool:
    """The chunks of one import, in the order of their source.

    Parameters
    ----------
    folder
        Where to keep them; removed by `close`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._chunks: dict[tuple[int, int], Spooled] = {}
        self._lock = threading.Lock()

    def put(self, file: int, number: int, rows: pa.Table) -> None:
        """Keep the rows of chunk `number` of source file `file`."""
        if rows.num_rows == 0:
            return
        path = self.folder / f"{file:05d}-{number:07d}.arrow"
        hashes = np.array(rows[ID_HASH].to_numpy())
        records = np.array(rows["record"].to_numpy())
        kept = rows.drop_columns([ID_HASH])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, kept.schema, options=_PACKED) as writer:
            writer.write_table(kept)
        with self._lock:
            self._chunks[file, number] = Spooled(path, file, hashes, records)

    @property
    def chunks(self) -> list[Spooled]:
        """The chunks, in the order of their source."""
        return [self._chunks[key] for key in sorted(self._chunks)]

    def close(self) -> None:
        """Remove the files."""
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()
