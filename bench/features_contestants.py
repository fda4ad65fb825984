"""The same columns three ways: our declarations, SQL written by hand for DuckDB, and pandas."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from bench.features_data import AGGREGATES, INSTANTS, accounts
from features.definitions import Aggregate
from features.rows.batch import aggregate_dense
from features.spine import spine_of

SECONDS = 86_400
FLAG = {"discounted": "discount > 0", "coupon": "coupon > 0", "own_label": "own_label"}


def ours(path: Path, threads: int) -> np.ndarray:
    """Compute the declared aggregates."""
    connection = duckdb.connect(config={"threads": threads})
    spine = spine_of({account: [account] for account in accounts()}, INSTANTS)
    return aggregate_dense(connection.read_parquet(str(path)), spine, AGGREGATES)


def duckdb_sql(path: Path, threads: int) -> np.ndarray:
    """Compute them as somebody at home in DuckDB writes it: the join once, one filtered aggregate per column.

    Distinct values are first reduced to their nearest day: many ``count(distinct)`` took three times as long.
    """
    connection = duckdb.connect(config={"threads": threads})
    people = sorted(accounts())
    rows = pd.DataFrame(
        {
            "row": np.arange(len(people) * len(INSTANTS), dtype=np.int32),
            "account": people * len(INSTANTS),
            "instant": np.repeat(INSTANTS, len(people)),
        }
    )
    connection.register("spine", rows)
    plain = [a for a in AGGREGATES if a.measure not in {"days", "distinct"}]
    nearest = []
    for column in ("day", "item", "category"):
        counted = [a for a in AGGREGATES if a.measure in {"days", "distinct"} and (a.of or "day") == column]
        kinds = dict.fromkeys(a.kinds for a in counted)
        near = ", ".join(f"min(age) filter (where {_of_kinds(k)}) as near{n}" for n, k in enumerate(kinds))
        number = {k: n for n, k in enumerate(kinds)}
        count = ", ".join(
            f'count(*) filter (where near{number[a.kinds]} < {a.window.days or 1_000_000}) as "{a.name}"'
            for a in counted
        )
        nearest.append(
            f"(select row, {count} from (select row, {column}, {near} from joined "
            f"where {' or '.join(_of_kinds(k) for k in kinds)} group by row, {column}) group by row)"
        )
    question = f"""
        with joined as materialized (
            select row, kind, (instant - event_time)::int as ago, (instant // {SECONDS} - day)::int as age, item,
                category, day, amount, quantity, discount, coupon, own_label
            from read_parquet('{path}') join spine using (account)
            where event_time < instant and arrived_at <= instant
                and kind in ('purchase', 'click', 'impression', 'like', 'save', 'share')
        )
        select * from (select row, {", ".join(_column(a) for a in plain)} from joined group by row)
        {" ".join(f"left join {part} using (row)" for part in nearest)}
    """
    found = connection.sql(question).fetchnumpy()
    dense = np.zeros((len(rows), len(AGGREGATES)))
    for number, a in enumerate(AGGREGATES):
        seconds = a.measure in {"recency", "tenure"}
        dense[:, number] = np.nan if seconds else 0
        values = np.ma.filled(np.ma.asarray(found[a.name]).astype(float), np.nan)
        dense[np.asarray(found["row"]), number] = values if seconds else np.nan_to_num(values)
    return dense


def _of_kinds(kinds: tuple[str, ...]) -> str:
    return f"kind = '{kinds[0]}'" if len(kinds) == 1 else f"kind in {kinds}"


def _column(a: Aggregate) -> str:
    tests = [_of_kinds(a.kinds)]
    if a.window.days is not None:
        tests.append(f"age < {a.window.days}")
    if a.condition is not None:
        tests.append(FLAG[a.condition])
    taken = {
        "count": "count(*)",
        "sum": f"sum({a.of})",
        "recency": "min(ago)",
        "tenure": "max(ago)",
        "decayed": f"sum(round_even(65536 * pow(2, -age / {a.half_life}), 0)::bigint)",
    }[a.measure]
    return f'{taken} filter (where {" and ".join(tests)}) as "{a.name}"'


def pandas(path: Path, threads: int) -> np.ndarray:  # noqa: ARG001  (pandas groups on one thread)
    """Compute them instant by instant, one grouping per kind, window and condition, accounts as categories."""
    columns = [
        "account", "kind", "event_time", "arrived_at", "day", "category", "item", "amount", "quantity", "discount",
        "coupon", "own_label",
    ]  # fmt: skip
    events = pd.read_parquet(path, columns=columns)
    people = sorted(accounts())
    events["account"] = pd.Categorical(events["account"], categories=people).codes
    for column in ("kind", "item", "category"):
        events[column] = events[column].astype("category")
    parts = []
    for instant in INSTANTS:
        known = events[(events["event_time"] < instant) & (events["arrived_at"] <= instant)]
        known = known.assign(ago=instant - known["event_time"], age=instant // SECONDS - known["day"])
        dense = np.zeros((len(people), len(AGGREGATES)))
        groups: dict[tuple[object, ...], list[tuple[int, Aggregate]]] = {}
        for number, a in enumerate(AGGREGATES):
            groups.setdefault((a.kinds, a.condition, a.window.days), []).append((number, a))
        of_kinds = {kinds: known[known["kind"].isin(kinds)] for kinds in {a.kinds for a in AGGREGATES}}
        for (kinds, condition, days), members in groups.items():
            chosen = of_kinds[kinds]
            if days is not None:
                chosen = chosen[chosen["age"] < days]
            if condition is not None:
                chosen = chosen[chosen.eval(FLAG[condition]).fillna(value=False).astype(bool)]
            grouped = chosen.groupby("account")
            for number, a in members:
                dense[:, number] = _taken(a, chosen, grouped).reindex(range(len(people)), fill_value=0)
        parts.append(dense)
    return np.concatenate(parts)


def _taken(a: Aggregate, chosen: pd.DataFrame, grouped: pd.core.groupby.DataFrameGroupBy) -> pd.Series:
    if a.measure == "count":
        return grouped.size()
    if a.measure == "sum":
        return grouped[a.of].sum()
    if a.measure in {"days", "distinct"}:
        column = a.of or "day"
        return chosen[["account", column]].drop_duplicates().groupby("account").size()
    if a.measure == "decayed":
        weight = (65536 * np.exp2(-chosen["age"].to_numpy() / a.half_life)).round().astype(np.int64)
        return pd.Series(weight, chosen["account"].to_numpy()).groupby(level=0).sum()
    seconds = grouped["ago"].min() if a.measure == "recency" else grouped["ago"].max()
    return seconds.reindex(range(len(set(accounts()))))


CONTESTANTS = {"ours": ours, "duckdb_sql": duckdb_sql, "pandas": pandas}
