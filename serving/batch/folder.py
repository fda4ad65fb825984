"""A folder of scores: parts that are wholly there or not at all, a manifest once all are."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from features.durable import publish_file, write_durably
from features.errors import ScoresError
from serving.batch.people import LeftOut
from training.bundles.manifest import canonical_json

MANIFEST: Final = "_manifest.json"
RUN: Final = "_run.json"
_ROWS_PER_GROUP: Final = 500_000
_DICTIONARY_BYTES: Final = 8 << 20
_NEXT_STEP: Final = "name another folder with --out, or remove this one"


@dataclass(frozen=True)
class PartFacts:
    """What a finished part holds.

    Parameters
    ----------
    people
        How many have scores there.
    scores
        Its lines.
    left_out
        How many people were left out, by reason.
    """

    people: int
    scores: int
    left_out: Mapping[str, int]


class ScoresFolder:
    """Writes the scores of one run, and finds those of an earlier start of the same run.

    Parameters
    ----------
    path
        The folder; made, for its owner only, where it is not there.
    run
        What all scores in it depend on: equal runs, equal bytes.

    Raises
    ------
    ScoresError
        It holds the scores of another run, or other files.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self.run = run
        self._key = hashlib.sha256(canonical_json(run).encode()).hexdigest()
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ScoresError("scores cannot be written there", value=str(path), next_step=_NEXT_STEP) from error
        self._claim()
        for draft in path.glob(".*.draft"):
            draft.unlink()

    def _claim(self) -> None:
        file = self.path / RUN
        if not file.exists():
            others = sorted(entry.name for entry in self.path.iterdir())
            if others:
                raise ScoresError(
                    "the folder for the scores holds other files", value=others[:3], next_step=_NEXT_STEP
                )
            write_durably(file, canonical_json(self.run))
            return
        found = json.loads(file.read_text(encoding="utf-8"))
        if found != self.run:
            other = next(name for name in {**self.run, **found} if found.get(name) != self.run.get(name))
            raise ScoresError(
                f"the folder holds scores of another run, whose {other} differs",
                value=found.get(other),
                valid=[self.run.get(other)],
                next_step=_NEXT_STEP,
            )

    def part(self, number: int) -> Path:
        """Return the Parquet file of a part."""
        return self.path / f"part-{number:05}.parquet"

    def not_scored(self, number: int) -> Path:
        """Return the CSV file of the input's rows that have no scores; only there where there are some."""
        return self.path / f"not-scored-{number:05}.csv"

    def finished(self, number: int, depends_on: str) -> PartFacts | None:
        """Return what a part holds that an earlier start of this run finished; None where it is to be made."""
        if not self.part(number).exists():
            return None
        about = pq.read_metadata(self.part(number)).metadata
        if about.get(b"zhongcao.part", b"").decode() != self._part_key(number, depends_on):
            return None
        return PartFacts(**json.loads(about[b"zhongcao.holds"]))

    @contextmanager
    def writing(self, number: int, depends_on: str, schema: pa.Schema) -> Iterator[PartWriter]:
        """Write a part; it gets its name once everything has reached the disk, and none if this fails."""
        draft = self.path / f".part-{number:05}.draft"
        # A rerun may have to replace parts; until it has, the folder is not complete.
        (self.path / MANIFEST).unlink(missing_ok=True)
        draft.touch(mode=0o600)
        try:
            with pq.ParquetWriter(
                draft,
                schema.with_metadata({"zhongcao.model": str(self.run["model"])}),
                compression="zstd",
                use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                write_statistics=["person", "as_of"],
            ) as file:
                writer = PartWriter(file)
                yield writer
                writer.flush()
                file.add_key_value_metadata(
                    {
                        "zhongcao.run": canonical_json(self.run),
                        "zhongcao.part": self._part_key(number, depends_on),
                        "zhongcao.holds": json.dumps(asdict(writer.facts), sort_keys=True),
                    }
                )
            self._write_left_out(number, writer.left_out)
            publish_file(draft, self.part(number))
        finally:
            draft.unlink(missing_ok=True)

    def finish(self, facts: Sequence[PartFacts], about: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, last of all, and return it."""
        reasons = sorted({reason for part in facts for reason in part.left_out})
        manifest = {
            **about,
            "run": self.run,
            "people": sum(part.people for part in facts),
            "scores": sum(part.scores for part in facts),
            "left_out": {reason: sum(part.left_out.get(reason, 0) for part in facts) for reason in reasons},
            "parts": [
                {"people": part.people, "scores": part.scores, "files": self._hashes(number)}
                for number, part in enumerate(facts)
            ],
        }
        write_durably(self.path / MANIFEST, canonical_json(manifest))
        return manifest

    def _hashes(self, number: int) -> dict[str, str]:
        found = {}
        for path in (self.part(number), self.not_scored(number)):
            if path.exists():
                with path.open("rb") as file:
                    found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def _part_key(self, number: int, depends_on: str) -> str:
        return hashlib.sha256(f"{self._key} {number} {depends_on}".encode()).hexdigest()

    def _write_left_out(self, number: int, rows: Sequence[LeftOut]) -> None:
        path = self.not_scored(number)
        if not rows:
            path.unlink(missing_ok=True)
            return
        draft = path.with_name(f".{path.name}.draft")
        draft.touch(mode=0o600)
        with draft.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["line", "reason", "row"])
            lines.writerows([row.line, row.reason, row.row] for row in rows)
        publish_file(draft, path)


class PartWriter:
    """Takes the tables of one part.

    Parameters
    ----------
    file
        Open for writing.
    """

    def __init__(self, file: pq.ParquetWriter) -> None:
        self.people = 0
        self.scores = 0
        self.reasons: Mapping[str, int] = {}
        self.left_out: Sequence[LeftOut] = ()
        self._file = file
        self._waiting: list[pa.Table] = []

    @property
    def facts(self) -> PartFacts:
        """What was written so far."""
        left_out = {reason: count for reason, count in sorted(self.reasons.items()) if count}
        return PartFacts(self.people, self.scores, left_out)

    def add(self, people: int, table: pa.Table) -> None:
        """Add the scores of some people; many blocks make one group of rows."""
        self.people += people
        self.scores += table.num_rows
        self._waiting.append(table)
        if sum(waiting.num_rows for waiting in self._waiting) >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            rows = pa.concat_tables(self._waiting).unify_dictionaries().combine_chunks()
            self._file.write_table(rows, row_group_size=max(1, rows.num_rows))
            self._waiting = []
