"""Guesses about an unknown file: which column is which, the unit of its times, what its kinds mean."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files

from features.sources.mapping import SKIP
from features.sources.sample import Sample

_EPOCHS = (("epoch_s", 1), ("epoch_ms", 1_000), ("epoch_us", 1_000_000))
_FORMATS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M%S",
    "%d/%m/%Y %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y%m%d",
)
_MOST = 0.9


@dataclass
class Guess:
    """What a file's columns may mean.

    Parameters
    ----------
    columns
        Canonical column → source column.
    time
        Unit of the times.
    kinds
        Source value → event kind.
    constants
        Canonical column → value for every row.
    why
        Canonical column, ``time``, or ``kinds.VALUE`` → the reason.
    unknown_kinds
        Source values that nothing is known about.
    """

    columns: dict[str, str] = field(default_factory=dict)
    time: str = "order"
    kinds: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    unknown_kinds: list[str] = field(default_factory=list)


def guess(sample: Sample) -> Guess:
    """Guess what the columns of a sample mean."""
    known = tomllib.loads((files("features.sources") / "synonyms.toml").read_text(encoding="utf-8"))
    kinds = {word: kind for kind, words in known["kinds"].items() for word in (kind, *words)}
    names = {column: [_plain(word) for word in words] for column, words in known["columns"].items()}
    found = Guess()
    _time(sample, names.pop("event_time"), found)
    _kind(sample, names.pop("kind"), kinds, found)
    for canonical, words in names.items():
        _by_name(sample, canonical, words, found, naming=_called)
    # What stands inside an account, such as its rank, says nothing about the event.
    accounts = {word.removesuffix("id") for word in names["account"]}
    for canonical, words in names.items():
        outside: set[str] = set() if canonical == "account" else accounts
        _by_name(sample, canonical, words, found, naming=_ends, outside=outside)
    _own_id(sample, found)
    if "account" not in found.columns:
        _account(sample, found)
    if not sample.header:
        _by_place(sample, found)
    if "kind" not in found.columns:
        sells = "amount" in found.columns
        found.constants["kind"] = "purchase" if sells else "click"
        found.why["kind"] = f"no column holds kinds, and {'one holds' if sells else 'none holds'} amounts"
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower().replace("（", "(").replace("）", ")"))


def _called(name: str) -> str:
    """Return what a column is called, together with its parent: ``data.user.id`` is a userid."""
    return _plain("".join(name.split(".")[-2:]))


def _ends(name: str) -> str:
    """Return what the last part of a column's path is called."""
    return _plain(name.rsplit(".", maxsplit=1)[-1])


def _free(sample: Sample, found: Guess) -> list[str]:
    return [name for name in sample.columns if name not in found.columns.values()]


def _by_name(
    sample: Sample,
    canonical: str,
    words: list[str],
    found: Guess,
    *,
    naming: Callable[[str], str],
    outside: Collection[str] = (),
) -> None:
    """Take the column with the foremost word for its name; none inside the objects to stay `outside` of."""
    if canonical in found.columns:
        return
    for word in words:
        for name in _free(sample, found):
            if naming(name) == word and not any(_plain(part) in outside for part in name.split(".")[:-1]):
                found.columns[canonical] = name
                found.why[canonical] = f"its name means {canonical}"
                return


def _own_id(sample: Sample, found: Guess) -> None:
    """Take a mere id, where no two rows have the same, for the id of the event, unless it must be the account."""
    free = _free(sample, found)
    for name in free:
        distinct = len(set(sample.columns[name])) == len(sample.columns[name])
        spare = len(free) > 1 or "account" in found.columns
        if "event_id" not in found.columns and _plain(name) == "id" and distinct and spare:
            found.columns["event_id"] = name
            found.why["event_id"] = "an id of its own for each row"


def _time(sample: Sample, words: list[str], found: Guess) -> None:
    called = [name for word in words for name in sample.columns if _called(name) == word]
    ending = [name for word in words for name in sample.columns if _ends(name) == word]
    flat = [name for name in sample.columns if "." not in name]
    for name in dict.fromkeys([*called, *flat, *ending, *sample.columns]):
        unit, reason = time_unit([text for text in sample.columns[name] if text])
        named = name in called or name in ending
        if unit and (named or unit != "%Y%m%d"):
            found.columns["event_time"], found.time = name, unit
            found.why["event_time"] = "its name means a time" if named else "its values are times"
            found.why["time"] = reason
            return
    found.why["time"] = "no column holds times: rows are taken to be in order, one second apart"


def time_unit(texts: list[str]) -> tuple[str, str]:
    """Return the unit of times that texts hold, empty if they hold none, and the reason.

    Examples
    --------
    >>> time_unit(["1700000000000"])[0], time_unit(["2024-05-01 08:30:00"])[0], time_unit(["17"])[0]
    ('epoch_ms', 'iso', '')
    """
    if not texts:
        return "", ""
    numbers = [float(text) for text in texts if re.fullmatch(r"\d{9,17}(\.\d+)?", text)]
    if len(numbers) >= _MOST * len(texts):
        for unit, scale in _EPOCHS:
            years = sorted(1970 + number / scale / 31_556_952 for number in numbers)
            if years[0] >= 1990 and years[-1] <= 2060:
                return unit, f"its numbers would be years {int(years[0])} to {int(years[-1])}"
    if sum(map(_is_iso, texts)) >= _MOST * len(texts):
        return ("day" if all(len(text) == 10 for text in texts) else "iso"), f"such as {texts[0]}"
    for form in _FORMATS:
        if sum(_fits(text, form) for text in texts) >= _MOST * len(texts):
            return form, f"such as {texts[0]}"
    return "", ""


def _is_iso(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text)) and "-" in text
    except ValueError:
        return False


def _fits(text: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(text, form))  # noqa: DTZ007
    except ValueError:
        return False


def _kind(sample: Sample, words: list[str], kinds: dict[str, str], found: Guess) -> None:
    best, score = "", 0.0
    for name in _free(sample, found):
        values = {text for text in sample.columns[name] if text}
        if not values or len(values) > 60:
            continue
        meant = sum(value.lower() in kinds for value in values) / len(values)
        named = _called(name) in words
        if meant + named > score and (meant >= 0.5 or named):
            best, score = name, meant + named
    if not best:
        return
    found.columns["kind"] = best
    found.why["kind"] = "its name means a kind" if _called(best) in words else "its values are kinds"
    for value in sorted({text for text in sample.columns[best] if text}):
        kind = kinds.get(value.lower())
        if kind is None:
            found.unknown_kinds.append(value)
        elif kind != value:
            found.kinds[value] = kind
            found.why[f"kinds.{value}"] = "no event" if kind == SKIP else "a known word for it"


def _account(sample: Sample, found: Guess) -> None:
    """Take the first column whose values repeat, but not all the time."""
    free = _free(sample, found)
    for name in free:
        values = [text for text in sample.columns[name] if text]
        if values and len(set(values)) > 1 and not sample.columns[name][0].startswith("{"):
            found.columns["account"] = name
            found.why["account"] = (
                "no name means an account; the first column left that has several values: check it"
            )
            return
    if free:
        found.columns["account"] = free[0]
        found.why["account"] = "the only column left: check it"


def _by_place(sample: Sample, found: Guess) -> None:
    for canonical in ("item", "category"):
        for name in _free(sample, found):
            if canonical not in found.columns and all(
                re.fullmatch(r"[\w-]+", t) for t in sample.columns[name] if t
            ):
                found.columns[canonical] = name
                found.why[canonical] = "no header; by its place among the ids: check it"
