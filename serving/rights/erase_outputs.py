"""Erasing people, or one tag of theirs, from what was written for others: folders of scores, and lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.durable import publish_file, write_durably
from features.erasure.erasable import ErasablePlace
from features.erasure.quarantine import Named, names_of
from features.people.identity import account_key, load_key
from features.rights.ledger import outputs
from features.settings import Settings
from serving.batch.folder import MANIFEST
from serving.memberships.lines_folder import erase_people, note_of
from training.bundles.manifest import canonical_json

_HOLDS: Final = b"zhongcao.holds"
_PART: Final = "part-*.parquet"
Chosen = Callable[[pa.Table], pa.ChunkedArray]
"""Tells which lines of a table of scores are to go."""


class OutputsPlace(ErasablePlace):
    """Everything that commands of this home wrote about people, where it still lies there.

    Parameters
    ----------
    settings
        Knows where that was.
    """

    name = "batch outputs"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = load_key(settings)
        self._named = names_of(settings)

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete people's lines, see `ErasablePlace.erase`."""
        keys = {*persons, *accounts}
        return sum(
            _erase_lines(path, keys, self._named)
            if path.is_file()
            else _erase_scores(path, lambda table: self._of(table, keys))
            + erase_people(path, keys)
            + self._erase_left_out(path, keys)
            for path in outputs(self._settings)
        )

    def erase_tag(self, keys: Collection[str], tag: str) -> int:
        """Delete the lines of one tag of some people; return how many."""
        return sum(
            _erase_scores(path, lambda table: pc.and_(self._of(table, keys), pc.equal(table["tag"], tag)))
            + self._erase_tag_in_lines(path, keys, tag)
            for path in outputs(self._settings)
        )

    def _erase_tag_in_lines(self, folder: Path, keys: Collection[str], tag: str) -> int:
        removed = erase_people(folder, keys, tag)
        _set_right(folder)
        return removed

    def _of(self, table: pa.Table, keys: Collection[str]) -> pa.ChunkedArray:
        found = pc.is_in(table["person"].cast(pa.string()), pa.array(sorted(keys), pa.string()))
        if "account" not in table.column_names:
            return found
        # An account that was not linked to anybody then is listed under its own id all the same.
        pairs = zip(table["platform"].to_pylist(), table["account"].to_pylist(), strict=True)
        known: dict[tuple[str, str], bool] = {}
        named = [known.setdefault(pair, account_key(self._key, *pair) in keys) for pair in pairs]
        return pc.or_(found, pa.chunked_array([pa.array(named, pa.bool_())]))

    def _erase_left_out(self, folder: Path, keys: Collection[str]) -> int:
        removed = sum(_erase_lines(path, set(keys), self._named) for path in folder.glob("not-scored-*.csv"))
        _set_right(folder)
        return removed


def _erase_scores(folder: Path, chosen: Chosen) -> int:
    removed = 0
    for path in sorted(folder.glob(_PART)):
        removed += _without(path, chosen)
    for draft in folder.glob(".*.draft"):
        draft.unlink()
    _set_right(folder)
    return removed


def _without(path: Path, chosen: Chosen) -> int:
    """Write a part anew without some lines, as it would have been written without these people."""
    read = pq.ParquetFile(path)
    gone = [chosen(read.read_row_group(group)) for group in range(read.num_row_groups)]
    removed = sum(int(pc.sum(lines).as_py() or 0) for lines in gone)
    if not removed:
        return 0
    draft = path.with_name(f".{path.name}.draft")
    draft.touch(mode=0o600)
    schema = read.schema_arrow
    people = 0
    with pq.ParquetWriter(
        draft,
        schema,
        compression="zstd",
        use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
        write_statistics=["as_of"],
    ) as file:
        for group, lines in enumerate(gone):
            # Dictionaries name whoever is in no line any more: they are made anew.
            left = read.read_row_group(group).filter(pc.invert(lines))
            plain = pa.schema([pa.field(f.name, _plain(f.type), nullable=f.nullable) for f in schema])
            file.write_table(left.cast(plain).cast(schema))
            people += len(pc.unique(left["person"]))
        about = read.metadata.metadata
        holds = json.loads(about[_HOLDS])
        holds |= {"people": min(holds["people"], people), "scores": holds["scores"] - removed}
        kept = {name: about[name] for name in (b"zhongcao.run", b"zhongcao.part")}
        file.add_key_value_metadata({**kept, _HOLDS: json.dumps(holds, sort_keys=True)})
    publish_file(draft, path)
    return removed


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _erase_lines(path: Path, keys: set[str], named: Named) -> int:
    """Delete lines of a CSV file, but for its first one, that name somebody."""
    first, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
    left = [line for line in lines if not named(line, keys, None)]
    if len(left) < len(lines):
        mode = path.stat().st_mode
        write_durably(path, first + "".join(left))
        path.chmod(mode)
    return len(lines) - len(left)


def _holds(part: Path) -> dict[str, int]:
    if part.suffix == ".parquet":
        about: dict[str, int] = json.loads(pq.read_metadata(part).metadata[_HOLDS])
        return about
    noted: dict[str, int] = json.loads(note_of(part).read_text(encoding="utf-8"))["holds"]
    return noted


def _set_right(folder: Path) -> None:
    """Let the manifest say what the files hold now."""
    path = folder / MANIFEST
    if not path.exists():
        return
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for part in manifest["parts"]:
        for name in part["files"]:
            file = folder / name
            if not file.exists():
                continue
            with file.open("rb") as content:
                part["files"][name] = hashlib.file_digest(content, "sha256").hexdigest()
            if file.suffix != ".csv":
                holds = _holds(file)
                part |= {"people": holds["people"], "scores": holds["scores"]}
    manifest |= {count: sum(part[count] for part in manifest["parts"]) for count in ("people", "scores")}
    text = canonical_json(manifest)
    if text != path.read_text(encoding="utf-8"):
        write_durably(path, text)
