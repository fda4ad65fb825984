from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import MappingError
from features.inbox.replay import replay
from features.log.event_log import EventLog
from features.sources.mapping import Mapping, mapping_of
from tests.features.log_cases import imported, rows, settings_in, written

DAY = 86_400
ANCHOR = 1_709_251_200  # 2024-03-01
COLUMNS = {"kind": {"constant": "purchase"}, "event_time": "n", "account": "user", "category": "c"}


def numbered(**basket: Any) -> Mapping:
    content = {"source": "s", "platform": "p", "time": "basket", "columns": COLUMNS, "basket": basket}
    return mapping_of(content, "baskets.toml")


def days_of(folder: Path, text: str, used: Mapping, **more: Any) -> dict[str, float]:
    """Import and return for each category code the days from the anchor."""
    home = settings_in(folder, **more)
    imported(home, written(folder, text), used)
    return {code: (at - ANCHOR) / DAY for code, at in rows(home, "category, event_time")}


TWO_PEOPLE = "user,n,gap,c\na,1,,a1\na,2,5,a2\na,3,2.5,a3\na,3,2.5,a3-too\nb,1,,b1\n"


@pytest.mark.parametrize(
    ("basket", "days"),
    [
        ({"ends": "2024-03-01", "step_days": 7}, {"a1": -14, "a2": -7, "a3": 0, "a3-too": 0, "b1": 0}),
        ({"starts": "2024-03-01", "step_days": 7}, {"a1": 0, "a2": 7, "a3": 14, "a3-too": 14, "b1": 0}),
        ({"ends": "2024-03-01", "days_since": "gap"}, {"a1": -7.5, "a2": -2.5, "a3": 0, "a3-too": 0, "b1": 0}),
        ({"starts": "2024-03-01", "days_since": "gap"}, {"a1": 0, "a2": 5, "a3": 7.5, "a3-too": 7.5, "b1": 0}),
    ],
)
def test_baskets_lie_between_their_ends(tmp_path: Path, basket: dict[str, str], days: dict[str, float]) -> None:
    assert days_of(tmp_path, TWO_PEOPLE, numbered(**basket)) == days


def test_a_day_of_a_basket_is_one_of_the_log_s_zone(tmp_path: Path) -> None:
    zone = "Europe/Berlin"
    days = days_of(
        tmp_path,
        "user,n,c\na,1,x\na,9,y\n",
        numbered(starts="2024-03-01", step_days=7),
        timezone=zone,
        currency="EUR",
    )
    # Midnight in Berlin is 23:00 UTC; the clock is put forward on 31 March.
    assert days == {"x": -1 / 24, "y": 56 - 2 / 24}


def test_people_of_two_files_and_platforms_are_kept_apart(tmp_path: Path) -> None:
    content = {"source": "s", "time": "basket", "columns": {**COLUMNS, "platform": "shop"}}
    used = mapping_of(content | {"basket": {"ends": "2024-03-01", "step_days": 1}}, "two.toml")
    home = settings_in(tmp_path)
    files = [
        written(tmp_path, "user,shop,n,c\na,p,1,first\na,q,7,other\n", "one.csv"),
        written(tmp_path, "user,shop,n,c\na,p,4,last\n", "two.csv"),
    ]
    imported(home, files, used)
    days = {code: (at - ANCHOR) / DAY for code, at in rows(home, "category, event_time")}
    assert days == {"first": -3, "last": 0, "other": 0}


@pytest.mark.parametrize(
    ("anchor", "placed"), [("ends", {"3": -4, "4": 0, "once": 0}), ("starts", {"1": 0, "once": 0})]
)
def test_a_basket_beyond_an_unknown_gap_waits_in_quarantine(
    tmp_path: Path, anchor: str, placed: dict[str, float]
) -> None:
    text = "user,n,gap,c\na,1,,1\na,2,3,2\na,3,oops,3\na,4,4,4\nb,1,,once\nb,x,2,nowhere\n"
    home = settings_in(tmp_path)
    summary = imported(home, written(tmp_path, text), numbered(**{anchor: "2024-03-01"}, days_since="gap"))
    days = {code: (at - ANCHOR) / DAY for code, at in rows(home, "category, event_time")}
    missing = {"ends": {"1": -99, "2": -99}, "starts": {"2": 3}}[anchor]
    assert days == placed | ({} if anchor == "ends" else missing)
    assert summary.quarantined == 6 - len(days)
    (reason,) = summary.reasons
    assert reason.startswith("event_time (n): no basket with a place in time from 1990 until now; valid: 1, 2, 3")


@settings(max_examples=8, deadline=None)
@given(
    gaps=st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=1, max_size=6), min_size=1, max_size=4
    ),
    holes=st.sets(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=3),
)
def test_gaps_add_up_from_either_end(gaps: list[list[int | None]], holes: set[tuple[int, int]]) -> None:
    lines = ["user,n,gap,c"]
    from_end: dict[str, float] = {}
    from_start: dict[str, float] = {}
    for person, own in enumerate(gaps):
        held = {n: gap for n, gap in enumerate(own, start=1) if (person, n) not in holes}
        lines += [f"u{person},{n},{'' if gap is None else gap},{person}-{n}" for n, gap in held.items()]
        for backwards, placed in ((True, from_end), (False, from_start)):
            order = sorted(held, reverse=backwards)
            at: int | None = 0 if backwards or order[:1] == [1] else None
            for before, n in pairwise([None, *order]):
                if before is not None and n is not None:
                    gap = held[max(before, n)]
                    known = at is not None and gap is not None and abs(n - before) == 1
                    at = at + (-gap if backwards else gap) if known and at is not None and gap is not None else None
                if at is not None:
                    placed[f"{person}-{n}"] = float(at)
    for anchor, expected in (("ends", from_end), ("starts", from_start)):
        with TemporaryDirectory() as folder:
            used = numbered(**{anchor: "2024-03-01"}, days_since="gap")
            assert days_of(Path(folder), "\n".join(lines) + "\n", used) == expected


def test_baskets_that_would_move_are_refused(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    data = written(tmp_path, "user,n,gap,c\na,1,,x\na,y,,x\n")
    imported(home, data, numbered(ends="2024-03-01", step_days=7))
    with pytest.raises(MappingError, match=r"would move with a second import: 's'; import the whole .* new home"):
        imported(home, data, numbered(ends="2024-03-01", step_days=7))
    (name,) = [path.stem for path in home.quarantine_dir.glob("*.jsonl")]
    with pytest.raises(MappingError, match="cannot be imported without them; mend the file"):
        replay(EventLog.open(home), name)


def test_baskets_that_stand_alone_may_be_imported_again_and_replayed(tmp_path: Path) -> None:
    home, used = settings_in(tmp_path), numbered(starts="2024-03-01", step_days=7)
    imported(home, written(tmp_path, "user,n,c\na,1,x\na,2,y\na,?,z\n"), used)
    again = imported(home, written(tmp_path, "user,n,c\na,2,y\na,3,z\n"), used)
    assert (again.accepted, again.duplicates) == (1, 1)
    (name,) = [path.stem for path in home.quarantine_dir.glob("*.jsonl")]
    summary = replay(EventLog.open(home), name)
    assert (summary.read, summary.quarantined) == (1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"basket": {"ends": "2024-03-01"}}, "either step_days or days_since"),
        ({"basket": {"starts": "2024-03-01", "ends": "2024-03-01", "step_days": 7}}, "either starts or ends"),
        ({"basket": {"ends": "March", "step_days": 7}}, "'March' is no day such as 2024-01-01"),
        ({"basket": {"ends": "2024-03-01", "step_days": 7}, "time": "iso"}, "go together"),
        ({}, "time = 'basket' and \\[basket\\] go together"),
        (
            {"basket": {"ends": "2024-03-01", "step_days": 7}, "columns": {**COLUMNS, "arrived_at": "a"}},
            "nobody knows when those arrived",
        ),
    ],
)
def test_a_mapping_of_baskets_is_checked(content: dict[str, Any], message: str) -> None:
    base = {"source": "s", "platform": "p", "time": "basket", "columns": COLUMNS}
    with pytest.raises(MappingError, match=message):
        mapping_of(base | content, "test.toml")
