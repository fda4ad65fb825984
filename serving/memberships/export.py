"""Writing all memberships, or those that changed since a version, into a folder for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console

from features.progress import progress
from serving.batch.folder import PartFacts, ScoresFolder
from serving.batch.people import digest
from serving.memberships.changes import Changes, Comparison
from serving.memberships.lines_folder import LinesFolder

FORMAT: Final = "zhongcao.memberships"
FORMAT_VERSION: Final = 1
FILES: Final = ("parquet", "ndjson")
_RANGES_PER_PART: Final = 8
_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_SCHEMA: Final = pa.schema([pa.field(name, _WORD, nullable=False) for name in ("person", "change", "tag")])


def export_changes(
    comparison: Comparison, out: Path, files: str, *, console: Console | None = None
) -> dict[str, Any]:
    """Write what changed into a folder; parts that an earlier start of the same export finished are kept.

    Memory: the changes of some 65,000 people.

    Parameters
    ----------
    comparison
        Of what with what.
    out
        The folder, of this export alone.
    files
        One of `FILES`.
    console
        Where progress is drawn.

    Returns
    -------
    dict
        The manifest, with the number of parts that were kept under ``kept``.

    Raises
    ------
    ScoresError
        The folder holds other files, or another export.
    """
    version, since = comparison.version, comparison.since
    run = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version.name,
        "since": since and since.name,
        "files": files,
        "model": version.model,
    }
    folder = ScoresFolder(out, run) if files == "parquet" else LinesFolder(out, run)
    facts: list[PartFacts] = []
    kept, gone, counts = 0, 0, {"added": Counter[str](), "removed": Counter[str]()}
    erased = comparison.erased()
    with progress(console) as bar:
        task = bar.add_task("comparing memberships", total=comparison.ranges)
        for number, first in enumerate(range(0, comparison.ranges, _RANGES_PER_PART)):
            # Who was erased stands first: they may have come back since, under the same key.
            before = erased if number == 0 else []
            ranges = range(first, min(first + _RANGES_PER_PART, comparison.ranges))
            blocks = [comparison.range(one) for one in ranges]
            for block in blocks:
                gone += int(block.gone.sum())
                _count(block, counts)
            done = folder.finished(number, digest(before))
            kept += done is not None
            if done is None:
                done = _write(folder, number, before, blocks)
            facts.append(done)
            bar.advance(task, len(ranges))
    about = {
        "as_of": version.as_of,
        "model_as_of": version.model_as_of,
        "rows": dict(version.rows),
        "made_at": version.made_at,
        "since_model": since and since.model,
        "taxonomy": list(version.tags),
        **{change: dict(sorted(of.items())) for change, of in counts.items()},
        "gone": gone,
        "erased": len(erased),
    }
    return {**folder.finish(facts, about), "kept": kept}


def _count(block: Changes, counts: dict[str, Counter[str]]) -> None:
    for change, bits in (("added", block.added), ("removed", block.removed)):
        found = dict(zip(block.tags, bits.sum(axis=0).tolist(), strict=True))
        counts[change].update({tag: count for tag, count in found.items() if count})


def _write(folder: ScoresFolder | LinesFolder, number: int, erased: list[str], blocks: list[Changes]) -> PartFacts:
    if isinstance(folder, LinesFolder):
        with folder.writing_lines(number, digest(erased)) as lines:
            for key in erased:
                lines.add({"erased": key})
            for block in blocks:
                for line in block.lines():
                    lines.add(line)
        return lines.facts
    with folder.writing(number, digest(erased), _SCHEMA) as writer:
        if erased:
            writer.add(len(erased), _table([np.array(erased), np.full(len(erased), "erased"), _none(erased)]))
        for block in blocks:
            if len(block):
                writer.add(len(block), _table(list(_columns(block))))
    return writer.facts


def _columns(block: Changes) -> Iterator[NDArray[Any]]:
    """Yield person, change and tag of each line: of a person first whether they are gone, then by tag."""
    names = np.array(block.tags, np.str_)
    gone = np.flatnonzero(block.gone)
    added, added_tags = np.nonzero(block.added)
    removed, removed_tags = np.nonzero(block.removed)
    rows = np.concatenate([gone, added, removed])
    order = np.argsort(rows, kind="stable")
    yield block.persons[rows][order]
    yield np.repeat(["gone", "added", "removed"], [len(gone), len(added), len(removed)])[order]
    yield np.concatenate([_none(gone), names[added_tags], names[removed_tags]])[order]


def _none(of: Any) -> NDArray[np.str_]:
    return np.full(len(of), "", np.str_)


def _table(columns: list[NDArray[Any]]) -> pa.Table:
    return pa.table([pa.array(column.tolist(), pa.string()).dictionary_encode() for column in columns], _SCHEMA)
