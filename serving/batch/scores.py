"""Batch scoring: everybody's tags, or those of a list of people, into a folder of Parquet files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from features.errors import StoreError
from features.progress import progress
from serving.batch.folder import PartFacts, ScoresFolder
from serving.batch.people import Block, ScoredPeople, ScorePart, digest
from serving.batch.table import NO_TAGS, DeletedTags, ScoreFilter, ScoreTable
from serving.scoring.scorer import ScoringBundle

FORMAT: Final = "zhongcao.scores"
FORMAT_VERSION: Final = 1


def score_people(
    bundle: ScoringBundle,
    people: ScoredPeople,
    chosen: ScoreFilter,
    out: Path,
    *,
    threads: int = 1,
    deleted: DeletedTags = NO_TAGS,
    console: Console | None = None,
) -> dict[str, Any]:
    """Score people into a folder; parts that an earlier start of the same run finished are kept.

    Memory: `PEOPLE_PER_BLOCK` wide rows and what the model needs beside them, `threads` + 2 times; one group of
    rows of a Parquet file; of an input list the rows of one part.

    Parameters
    ----------
    bundle
        The model.
    people
        Whom.
    chosen
        Which scores are kept.
    out
        The folder.
    threads
        Blocks that are scored at once; the files' bytes do not depend on it.
    deleted
        Key of a person or an account → ids of tags that must not be inferred of them.
    console
        Where progress is drawn.

    Returns
    -------
    dict
        The manifest, with the number of parts that were kept under ``kept``.

    Raises
    ------
    StoreError
        The rows follow another layout than the bundle's, or were replaced while they were read.
    ScoresError
        The folder holds other files, or scores of another run.
    """
    if people.source.schema_hash != bundle.layout.schema_hash:
        raise StoreError(
            "the rows to score do not follow the layout of the bundle",
            value=people.source.schema_hash,
            valid=[bundle.layout.schema_hash],
            next_step="run `zhongcao retrain` to fill the store for this bundle, or name a day with --as-of",
        )
    run = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": bundle.version,
        "rows": dict(people.source.facts),
        "people": dict(people.facts),
        "top": chosen.top,
        "min_probability": chosen.min_probability,
    }
    if deleted:
        run["deleted_tags"] = digest([f"{key} {tag}" for key in sorted(deleted) for tag in sorted(deleted[key])])
    folder = ScoresFolder(out, run)
    table = ScoreTable(bundle, chosen, people.echoed, deleted)
    facts: list[PartFacts] = []
    kept = 0
    with progress(console) as bar, _pool(threads) as pool:
        task = bar.add_task("scoring people", total=None)
        for part in people.parts():
            bar.update(task, total=part.of)
            done = folder.finished(part.number, part.depends_on)
            kept += done is not None
            if done is None:
                with folder.writing(part.number, part.depends_on, table.schema) as writer:
                    for (block, echo), probabilities in _scored(bundle, part, pool, threads):
                        writer.add(len(block.persons), table.of(block, echo, probabilities))
                        bar.advance(task, len(block.persons))
                    writer.reasons, writer.left_out = part.reasons, part.left_out
                done = writer.facts
            else:
                bar.advance(task, done.people)
            bar.advance(task, sum(done.left_out.values()))
            facts.append(done)
    about = {
        "as_of": people.source.as_of,
        "model_as_of": bundle.as_of,
        "taxonomy": bundle.taxonomy.hash,
        "columns": table.schema.names,
        "assigned_from": _assigned_from(bundle),
    }
    return {**folder.finish(facts, about), "kept": kept}


def _assigned_from(bundle: ScoringBundle) -> dict[str, float]:
    return {
        tag.id: float(threshold)
        for tag, threshold in zip(bundle.taxonomy.tags, bundle.model.assign_at, strict=True)
        if np.isfinite(threshold)
    }


def _scored(
    bundle: ScoringBundle, part: ScorePart, pool: ThreadPoolExecutor, threads: int
) -> Iterator[tuple[Block, NDArray[np.float64]]]:
    """Yield blocks with their probabilities in order, while the next ones are read and scored."""
    waiting: deque[tuple[Block, Future[NDArray[np.float64]]]] = deque()
    for block in part.blocks():
        waiting.append((block, pool.submit(bundle.model.predict, block[0].matrix)))
        if len(waiting) > threads:
            first, probabilities = waiting.popleft()
            yield first, probabilities.result()
    for last, probabilities in waiting:
        yield last, probabilities.result()


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    # Not ThreadPoolExecutor's own exit, which would score all that waits after Ctrl-C.
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
