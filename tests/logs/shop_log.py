"""Made-up shop logs of many shapes: people with tastes and a rhythm buy from categories that are mere codes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.log.event_log import EventLog
from features.log.importing import Summary, import_lock, import_rows
from features.log.input import Input
from features.settings import Settings
from features.sources.mapping import load_mapping
from features.sources.open_reader import open_reader

START = 1_704_067_200  # 2024-01-01, a Monday
DAY = 86_400
KEY = bytes(range(32))
"""A fixed key for pseudonyms, so that people come in the same order in every home."""

TASTES = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShopLog:
    """The shape of a log.

    Parameters
    ----------
    people, categories, days
        Its size.
    platforms
        Shops with accounts of their own; a table of identities says who is who.
    amounts
        Whether purchases have an amount and a quantity.
    interest
        Whether people are seen to click on a category some days before they buy in it.
    time
        Times, numbered baskets of each person, or numbered baskets with the days since the one before.
    late_category
        Whether the last category appears only after 70 % of the days.
    seed
        Everything random follows from it.
    """

    people: int = 5_000
    categories: int = 80
    days: int = 42
    platforms: int = 1
    amounts: bool = False
    interest: bool = False
    time: Literal["times", "baskets", "gaps"] = "times"
    late_category: bool = False
    seed: int = 11


def write_shop_log(folder: Path, shape: ShopLog) -> list[tuple[Path, Path]]:
    """Write the CSV files of a log with their mappings; return (data, mapping) in the order of import."""
    folder.mkdir(parents=True, exist_ok=True)
    events = (folder / "events.csv", folder / "events.toml")
    rows = list(_rows(shape))
    events[1].write_text(_mapping(shape), encoding="utf-8")
    if shape.time != "times":
        _write(events[0], ["user", "basket", "gap", "category"], _baskets(rows))
        return [events]
    header = ["user", "platform", "kind", "time", "category", *(["amount", "quantity"] if shape.amounts else [])]
    _write(events[0], header, rows)
    if shape.platforms == 1:
        return [events]
    links = (folder / "identities.csv", folder / "identities.toml")
    names = [
        (f"u{n}", f"shop{p}", f"person{n}", START - DAY)
        for n in range(shape.people)
        for p in range(shape.platforms)
    ]
    _write(links[0], ["user", "platform", "person", "since"], names)
    links[1].write_text(_IDENTITIES, encoding="utf-8")
    return [links, events]


def shop_home(home: Path, shape: ShopLog) -> Settings:
    """Make a home and import the log of that shape."""
    settings = Settings(home=home, mlruns=home / "mlruns", threads=2)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.key_file.touch(mode=0o600)
    settings.key_file.write_bytes(KEY)
    for data, mapping in write_shop_log(home / "data", shape):
        import_file(settings, data, mapping)
    return settings


def import_file(settings: Settings, data: Path, mapping: Path) -> Summary:
    """Import one file by its mapping, as `zhongcao import` does."""
    used = load_mapping(mapping)
    log = EventLog.open(settings, create=True)
    with import_lock(settings):
        return import_rows(log, [Input(open_reader(data, used), used)])


def _rows(shape: ShopLog) -> Iterator[tuple[object, ...]]:
    """Yield rows (user, platform, kind, time, code, …), day by day."""
    rng = np.random.default_rng(shape.seed)
    wishes, visits, cycle, joined = _people(shape, rng)
    last = np.full((shape.people, shape.categories), -1_000.0)
    season = rng.uniform(0, 1, shape.categories)
    seasonal = rng.random(shape.categories) < 0.25
    for day in range(shape.days):
        weekend = 1.4 if day % 7 >= 5 else 0.85
        here = np.flatnonzero((rng.random(shape.people) < visits * weekend) & (joined <= day))
        wave = 1 + seasonal * 0.6 * np.sin(2 * np.pi * (day / 365 + season))
        if shape.late_category:
            wave[-1] = 3.0 if day >= 0.7 * shape.days else 0.0
        # What was bought a moment ago is not needed again until about a cycle later.
        wanted = wishes[here] * wave * (1 - 0.9 * np.exp(-(((day - last[here]) / cycle) ** 2)))
        bought = rng.random(wanted.shape) < -np.expm1(-wanted)
        moments = START + day * DAY + rng.integers(8 * 3600, 22 * 3600, len(here))
        for place, category in np.argwhere(bought):
            person = int(here[place])
            last[person, category] = day
            moment, code = int(moments[place]), str(100 + int(category))
            platform = f"shop{int(rng.integers(shape.platforms))}"
            if shape.interest and rng.random() < 0.5:
                seen = max(START, moment - int(rng.integers(0, 5 * DAY)))
                yield (f"u{person}", platform, "click", seen, code, *(("", "") if shape.amounts else ()))
            price = int(100 * (1 + category % 9) * (0.5 + rng.random()))
            yield (f"u{person}", platform, "buy", moment, code, *((price, 1) if shape.amounts else ()))


def _people(shape: ShopLog, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Return wishes [people, categories], visits a day, cycles of the categories in days, first days."""
    of_taste = rng.gamma(0.3, 1.0, (TASTES, shape.categories))
    popular = rng.lognormal(0, 0.8, shape.categories)
    tastes = rng.dirichlet(np.full(TASTES, 0.3), shape.people)
    wishes = popular * (tastes @ of_taste + 0.05) * rng.gamma(1.0, 1.0, (shape.people, shape.categories))
    wishes *= 3.0 * rng.gamma(2.0, 0.5, (shape.people, 1)) / wishes.sum(axis=1, keepdims=True)
    visits = np.minimum(rng.gamma(1.2, 0.14, shape.people), 0.7)
    joined = np.where(rng.random(shape.people) < 0.7, 0, rng.uniform(0, 0.6 * shape.days, shape.people))
    return wishes, visits, rng.uniform(3, 25, shape.categories), joined


def _baskets(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Number each person's days with purchases; the gap of the first one is empty."""
    numbers: dict[str, tuple[int, int]] = {}
    made: list[tuple[object, ...]] = []
    gaps: dict[str, object] = {}
    for user, _, kind, moment, code, *_ in rows:
        if kind != "buy":
            continue
        day, name = (int(str(moment)) - START) // DAY, str(user)
        number, before = numbers.get(name, (0, -1))
        if day != before:
            gaps[name] = day - before if number else ""
            numbers[name] = (number + 1, day)
        made.append((name, numbers[name][0], gaps[name], code))
    return made


def _write(path: Path, header: list[str], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _mapping(shape: ShopLog) -> str:
    head = 'source = "made-up"\n'
    if shape.time != "times":
        columns = (
            'kind = { constant = "purchase" }\naccount = "user"\ncategory = "category"\nevent_time = "basket"\n'
        )
        gap = 'days_since = "gap"' if shape.time == "gaps" else "step_days = 7"
        return (
            f'{head}platform = "shop0"\ntime = "basket"\n[columns]\n{columns}[basket]\nends = "2024-06-01"\n{gap}\n'
        )
    columns = 'kind = "kind"\nevent_time = "time"\naccount = "user"\nplatform = "platform"\ncategory = "category"\n'
    columns += 'amount = "amount"\nquantity = "quantity"\n' if shape.amounts else ""
    money = 'money = "minor"\n' if shape.amounts else ""
    return f'{head}time = "epoch_s"\n{money}[columns]\n{columns}[kinds]\nbuy = "purchase"\n'


_IDENTITIES = """
source = "accounts"
table = "identities"
time = "epoch_s"
[columns]
account = "user"
platform = "platform"
person = "person"
valid_from = "since"
"""
