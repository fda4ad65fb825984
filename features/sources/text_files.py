"""Text files, plain or gzip, in pieces of whole lines."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from features.errors import SourceError
from features.named_files import reason_of

PIECE_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Lines:
    """Some whole lines of a file, in UTF-8.

    Parameters
    ----------
    data
        The text; bytes that the file's encoding does not allow stay as they are.
    last
        Whether the file ends here.
    size
        Bytes that were read from disk for it.
    """

    data: bytes
    last: bool
    size: int


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file for reading its content, and the raw file, whose position tells the progress.

    Raises
    ------
    SourceError
        The file cannot be read, or its gzip stream is damaged.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            with cast(IO[bytes], gzip.open(raw)) if packed else nullcontext(raw) as stream:
                yield stream, raw
    except (OSError, EOFError) as error:
        raise SourceError(f"cannot read the data ({reason_of(error)})", value=str(path)) from error


def read_lines(path: Path, encoding: str, piece_bytes: int = PIECE_BYTES) -> Iterator[Lines]:
    """Yield the file in pieces of whole lines, without a byte order mark."""
    with opened(path) as (stream, raw):
        rest, done, first, last = b"", 0, True, False
        ahead = stream.read(piece_bytes)
        while not last:
            block, ahead = ahead, stream.read(piece_bytes)
            last = not ahead
            data = rest + block
            cut = len(data) if last else data.rfind(b"\n") + 1
            data, rest = data[:cut], data[cut:]
            if first and data:
                data, first = data.removeprefix(_BOM), False
            if data or last:
                yield Lines(to_utf8(data, encoding), last, raw.tell() - done)
                done = raw.tell()


def to_utf8(data: bytes, encoding: str) -> bytes:
    """Return text in UTF-8; bytes that are wrong in its encoding are kept, to be refused row by row."""
    if encoding == "utf-8":
        return data
    return data.decode(encoding, "surrogateescape").encode("utf-8", "surrogateescape")


def shown(data: bytes) -> str:
    """Return text for people, with escapes in place of wrong bytes."""
    return data.decode("utf-8", "backslashreplace")
