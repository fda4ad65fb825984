"""A first mapping for an unknown file, with the reason of each guess and a preview of what it gives."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from features.log.canonical import Canonicaliser
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms
from features.settings import Settings
from features.sources.guess import Guess, guess
from features.sources.mapping import load_text
from features.sources.open_reader import open_reader
from features.sources.reader import Refused
from features.sources.sample import Sample, take_sample

_SHOWN = 10


@dataclass(frozen=True)
class Draft:
    """A drafted mapping.

    Parameters
    ----------
    toml
        The mapping file, with a comment on each guess.
    preview
        Ten canonical rows, and what would be refused among the first rows.
    """

    toml: str
    preview: str


def draft(path: Path, settings: Settings) -> Draft:
    """Draft a mapping for a file.

    Raises
    ------
    SourceError, MappingError
        The file cannot be read, or its columns do not make events.
    """
    sample = take_sample(path)
    toml = _toml(path, sample, guess(sample))
    return Draft(toml, _preview(path, toml, settings))


def _toml(path: Path, sample: Sample, found: Guess) -> str:
    why = sample.why | found.why
    name = re.sub(r"\W+", "-", path.name.split(".")[0]).strip("-") or "source"
    lines = [f"source = {_text(name)}", f"platform = {_text(name)}  # from the file's name: say the real platform"]
    if "platform" in found.columns:
        lines.pop()
    lines.append(f"format = {_text(sample.format)}" + _why(why, "format"))
    if sample.format in ("csv", "tsv"):
        lines += [
            f"encoding = {_text(sample.encoding)}" + _why(why, "encoding"),
            f"delimiter = {_text(sample.delimiter)}" + _why(why, "delimiter"),
            f"header = {str(sample.header).lower()}" + _why(why, "header"),
        ]
    lines.append(f"time = {_text(found.time)}" + _why(why, "time"))
    if found.time != "order" and not found.time.startswith("epoch"):
        lines.append('# timezone = "Asia/Shanghai"  # of times that name no offset; the log\'s zone if not given')
    if "amount" in found.columns:
        whole = all("." not in text for text in sample.columns[found.columns["amount"]])
        note = "no decimals: check whether they are cents or fen" if whole else "amounts have decimals"
        lines.append(f'money = "major"  # {note}')
    lines += ["", "[columns]"]
    for canonical, value in found.constants.items():
        lines.append(f"{canonical} = {{ constant = {_text(value)} }}" + _why(why, canonical))
    for canonical, column in found.columns.items():
        lines.append(f"{canonical} = {_text(column)}" + _why(why, canonical))
    unused = [column for column in sample.columns if column not in found.columns.values()]
    if unused:
        lines.append(f"# not used: {', '.join(unused)}")
    if found.time == "order":
        lines += ["", "[order]", 'start = "2020-01-01"  # of the first row', "step_seconds = 1"]
    if found.kinds or found.unknown_kinds:
        lines += ["", "[kinds]"]
        lines += [f"{_text(v)} = {_text(kind)}" + _why(why, f"kinds.{v}") for v, kind in found.kinds.items()]
        lines += [f'# {_text(value)} = "?"  # nothing is known about this value' for value in found.unknown_kinds]
    return "\n".join(lines) + "\n"


def _preview(path: Path, toml: str, settings: Settings) -> str:
    mapping = load_text(toml, "the draft")
    log = EventLog(settings, settings.timezone, mapping.currency or settings.currency)
    # A throw-away key: a draft must not need a home, and its keys mean nothing.
    make = Canonicaliser(mapping, log, Pseudonyms(secrets.token_bytes(32)), None, int(time.time()))
    chunk = next(islice(open_reader(path, mapping).pieces(), 1))()
    made = make(chunk)
    lines = ["first rows as they would be imported:"]
    for row in made.table.slice(0, _SHOWN).to_pylist():
        shown = {name: value for name, value in row.items() if value is not None and name not in _HIDDEN}
        lines.append("  " + json.dumps(shown, ensure_ascii=False))
    rows = chunk.table.num_rows + len(chunk.broken)
    lines.append(f"of the first {rows:,} rows {len(made.refused):,} would be refused, {made.skipped:,} skipped")
    lines += [f"  {_refusal(row)}" for row in made.refused[:_SHOWN]]
    return "\n".join(lines)


_HIDDEN = ("record", "id_hash", "event_id")


def _refusal(row: Refused) -> str:
    reasons = "; ".join(
        f"{r.column}: {'' if r.value is None else repr(r.value) + ': '}{r.problem}" for r in row.reasons
    )
    return f"line {row.line}: {row.raw[:120]}: {reasons}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _why(why: dict[str, str], name: str) -> str:
    return f"  # {why[name]}" if name in why else ""
