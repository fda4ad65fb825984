"""Ten million touches through all seven credit rules, beside the same rules as pandas groups.

Paths are drawn: 2.2 million conversions with five touches each on average (geometric), a tenth without any, and as
many journeys again that did not convert, which only Markov and Shapley read; a thousand notes, of which the n-th is
1/n as frequent as the first. The peer says each rule as a function of one path's frame and applies it with
``groupby().apply``; it gets the first ``--slice`` paths, and its time is scaled to all of them by touches. What
Markov and Shapley learn from all journeys is learned before and given to it, so that it only divides. Both run turn
by turn; figures are medians. Ours are checked to add up, and compared with the peer's on the slice.

    python -m bench.credit_rules --json bench/results/credit_rules.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.harness import medians, peak_mb, report, write_json
from features.days import DAY_SECONDS
from features.paths.paths import Paths
from training.contribution.credit import RULES, Rule, credits
from training.contribution.journeys import journeys_of
from training.contribution.markov import removal_effects
from training.contribution.shapley import Game

NOTES, MEAN_TOUCHES, WITHOUT = 1_000, 5, 0.1


def drawn(touches: int, seed: int) -> Paths:
    """Draw paths with about so many touches on them, and as many journeys without a conversion."""
    random = np.random.default_rng(seed)
    conversions = round(touches / MEAN_TOUCHES / (1 - WITHOUT))
    lengths = random.geometric(1 / MEAN_TOUCHES, conversions) * (random.random(conversions) >= WITHOUT)
    others = random.geometric(1 / MEAN_TOUCHES, conversions)
    on_path, off_path = int(lengths.sum()), int(others.sum())
    popularity = 1 / np.arange(1, NOTES + 1)
    notes = random.choice(NOTES, on_path + off_path, p=popularity / popularity.sum()).astype(np.int32)
    path = np.repeat(np.arange(conversions), lengths)
    ago = random.integers(1, 30 * DAY_SECONDS, on_path)
    ago = ago[np.lexsort((-ago, path))]
    at = 30 * DAY_SECONDS
    names = pa.array([f"note-{n:04}" for n in range(NOTES)])
    values = random.lognormal(9, 1, conversions).astype(np.int64)
    return Paths(
        touches=pa.table(
            {
                "note": pa.DictionaryArray.from_arrays(pa.array(notes), names),
                "click": pa.array(random.random(on_path + off_path) < 0.3),
                "time": np.concatenate([at - ago, np.full(off_path, at)]),
            }
        ),
        conversions=pa.table({"time": np.full(conversions, at), "value": values, "paid": values}),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        touch=np.arange(on_path),
        counted=np.ones(on_path, bool),
        halo=np.zeros(on_path, bool),
        reported=np.ones(conversions, bool),
        unconverted_offsets=np.concatenate([[0], np.cumsum(others)]),
        unconverted_touch=on_path + np.arange(off_path),
    )


def ours(paths: Paths) -> tuple[dict[str, float], dict[Rule, Any]]:
    """Return the seconds of each rule, those of the processor for all, and the credits."""
    seconds, found = {}, {}
    values = paths.values
    busy = time.process_time()
    for rule in RULES:
        started = time.perf_counter()
        found[rule] = credits(paths, values, rule)
        seconds[rule] = time.perf_counter() - started
    seconds["processor"] = time.process_time() - busy
    return seconds, found


def largest_remainder(value: int, weights: Any) -> Any:
    """Divide one value over one path."""
    weights = weights if weights.sum() > 0 else np.ones(len(weights))
    exact = value * weights / weights.sum()
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: value - parts.sum()]] += 1
    return parts


def pandas_rules(effects: Any, game: Game) -> dict[Rule, Callable[[pd.DataFrame], Any]]:
    """Return each rule as the weights of one path's frame."""

    def last(path: pd.DataFrame) -> Any:
        clicked = np.flatnonzero(path["click"])
        return (np.arange(len(path)) == (clicked[-1] if len(clicked) else len(path) - 1)).astype(float)

    def position(path: pd.DataFrame) -> Any:
        if len(path) <= 2:
            return np.ones(len(path))
        return np.array([0.4, *[0.2 / (len(path) - 2)] * (len(path) - 2), 0.4])

    def once(path: pd.DataFrame, worth: Any) -> Any:
        names, of, times = np.unique(path["note"], return_inverse=True, return_counts=True)
        return (worth(names) / times)[of]

    def shapley(names: Any) -> Any:
        return np.maximum(
            game.single[names] + game.pair[np.ix_(names, names)].sum(axis=1) / (2 * max(len(names) - 1, 1)), 0
        )

    return {
        "first": lambda path: (np.arange(len(path)) == 0).astype(float),
        "last": last,
        "linear": lambda path: np.ones(len(path)),
        "time_decay": lambda path: np.exp2(-(path["ago"] - path["ago"].iloc[-1]).to_numpy() / (7 * DAY_SECONDS)),
        "position": position,
        "markov": lambda path: once(path, lambda names: effects[names]),
        "shapley": lambda path: once(path, shapley),
    }


def peer(frame: pd.DataFrame, values: Any, rules: dict[Rule, Any]) -> tuple[dict[str, float], dict[Rule, Any]]:
    """Return the seconds of each rule with groupby-apply, and its credits."""
    seconds, found = {}, {}
    for rule, weights in rules.items():
        started = time.perf_counter()
        parts = frame.groupby("path", sort=False)[["path", "note", "click", "ago"]].apply(
            lambda path, weights=weights: pd.Series(
                largest_remainder(values[path["path"].iloc[0]], weights(path)), path.index
            )
        )
        seconds[rule] = time.perf_counter() - started
        found[rule] = parts.to_numpy()
    return seconds, found


def main() -> None:
    """Draw, measure in turn, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--touches", type=int, default=10_000_000, help="touches on paths")
    parser.add_argument("--slice", type=int, default=4_000, help="paths that the peer divides")
    parser.add_argument("--runs", type=int, default=3, help="runs that medians are of")
    parser.add_argument("--seed", type=int, default=11, help="seed of the paths")
    arguments = parser.parse_args()
    paths = drawn(arguments.touches, arguments.seed)
    journeys = journeys_of(paths)
    rules = pandas_rules(removal_effects(journeys), Game.from_journeys(journeys))
    few = int(paths.offsets[arguments.slice])
    frame = pd.DataFrame(
        {
            "path": np.repeat(np.arange(arguments.slice), np.diff(paths.offsets[: arguments.slice + 1])),
            "note": journeys.channel[:few],
            "click": paths.clicks[:few],
            "ago": paths.ago[:few],
        }
    )
    one, other = [], []
    for _ in range(arguments.runs):
        seconds, found = ours(paths)
        one.append(seconds)
        seconds, theirs = peer(frame, paths.values, rules)
        other.append(seconds)
    for rule in RULES:
        sums = np.add.reduceat(found[rule], paths.offsets[:-1][np.diff(paths.offsets) > 0])
        assert np.array_equal(sums, paths.values[np.diff(paths.offsets) > 0]), f"{rule}: credits do not add up"
    apart = {rule: int(np.abs(found[rule][:few] - theirs[rule]).max()) for rule in RULES}
    mine, pandas = medians(one), medians(other)
    processor = mine.pop("processor")
    scaled = {rule: seconds * len(paths.touch) / few for rule, seconds in pandas.items()}
    mine["all"], scaled["all"] = sum(mine.values()), sum(scaled.values())
    table = {
        rule: {
            "pandas, scaled / ours": scaled[rule] / mine[rule],
            "ours, s": mine[rule],
            "pandas, scaled, s": scaled[rule],
        }
        | ({} if rule == "all" else {"most apart, minor units": apart[rule]})
        for rule in mine
    }
    title = f"{len(paths.touch):,} touches on {len(paths):,} paths; ours took {processor:.1f} s of the processor"
    report(title, table, list(table["first"]))
    write_json(
        arguments.json,
        {
            "rules_seconds": mine["all"],
            "rules_processor_seconds": processor,
            "pandas_scaled_over_ours": scaled["all"] / mine["all"],
            "pandas_scaled_seconds": scaled["all"],
            "touches": len(paths.touch),
            "conversions": len(paths),
            "pandas_touches": few,
            "peak_mb": peak_mb(),
            "most_apart_minor_units": max(apart.values()),
            "seconds": mine,
            "pandas_scaled_seconds_by_rule": scaled,
        },
    )


if __name__ == "__main__":
    main()
