from __future__ import annotations

import sqlite3
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import StoreError
from serving.histories.sqlite_store import SqliteHistories
from serving.histories.store import HistoryStore

AS_OF = 1_509_494_400
SCHEMA = pa.schema([("event_time", pa.int64()), ("kind", pa.string()), ("read_percent", pa.float64())])


def events(*times: int, kind: str | None = "click") -> pa.RecordBatch:
    rows = [{"event_time": time, "kind": kind, "read_percent": None} for time in times]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def put(store: HistoryStore, as_of: int = AS_OF, source: str = "log 1", **histories: pa.RecordBatch) -> None:
    with store.fill(SCHEMA, as_of, source) as fill:
        fill.add("all", histories, {})


def times(store: HistoryStore, *persons: str) -> list[list[int] | None]:
    return [found and found["event_time"].to_pylist() for found in store.get(persons).events]


class HistoriesContract(ABC):
    """What every backend of the person histories must do; subclass it and say how to open one."""

    @abstractmethod
    def open(self, folder: Path) -> HistoryStore:
        """Open a store that lives in the folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[HistoryStore]:
        store = self.open(tmp_path)
        yield store
        store.close()

    def test_histories_come_back_in_the_order_asked(self, store: HistoryStore) -> None:
        put(store, a=events(1, 2), b=events(3))
        assert times(store, "b", "x", "a", "b") == [[3], None, [1, 2], [3]]
        found = store.get(["x", "a"])
        assert found.as_of == AS_OF
        assert found.events[1] is not None
        assert found.events[1].schema == SCHEMA

    def test_more_people_than_fit_one_query(self, store: HistoryStore) -> None:
        people = [f"p{i}" for i in range(2500)]
        put(store, **{person: events(i) for i, person in enumerate(people)})
        assert times(store, *people[::-1], "x") == [*([i] for i in range(2499, -1, -1)), None]

    def test_accounts_lead_to_their_person(self, store: HistoryStore) -> None:
        with store.fill(SCHEMA, AS_OF, "log") as fill:
            fill.add("1", {"ann": events(1)}, {"a1": "ann", "a2": "ann"})
            fill.add("2", {"bob": events(2)}, {"b1": "bob"})
        assert store.resolve(["a2", "b1", "nobody", "ann", "a1"]) == ["ann", "bob", "nobody", "ann", "ann"]

    def test_what_is_shared_belongs_to_its_fill(self, store: HistoryStore) -> None:
        with store.fill(SCHEMA, AS_OF, "log 1") as fill:
            fill.add("all", {"a": events(1)}, {})
            fill.share("notes", b"one")
            fill.share("notes", b"two")
            fill.share("prices", b"")
        first = store.shared()
        assert (first.as_of, first.parts) == (AS_OF, {"notes": b"two", "prices": b""})
        assert first.fill == store.get(["a"]).fill == store.get(["nobody"]).fill
        with store.fill(SCHEMA, AS_OF, "log 1") as fill:
            fill.share("notes", b"three")
            assert store.shared() == first
        again = store.shared()
        assert again.parts == {"notes": b"three"}
        assert again.fill == store.get(["a"]).fill != first.fill

    def test_it_says_what_it_holds(self, store: HistoryStore) -> None:
        with store.fill(SCHEMA, AS_OF, "log v7") as fill:
            fill.add("1", {"ann": events(1)}, {"a1": "ann", "a2": "ann"})
            fill.add("2", {"bob": events(2)}, {})
        info = store.describe()
        assert (info.schema, info.as_of, info.source) == (SCHEMA, AS_OF, "log v7")
        assert (info.people, info.accounts) == (2, 2)

    def test_a_fill_takes_the_place_of_what_was_there(self, store: HistoryStore) -> None:
        put(store, a=events(1), b=events(2))
        put(store, AS_OF + 5, a=events(9))
        assert times(store, "a", "b") == [[9], None]
        assert (store.describe().as_of, store.describe().people) == (AS_OF + 5, 1)

    def test_readers_see_the_old_histories_until_the_commit(self, store: HistoryStore) -> None:
        put(store, a=events(1))
        with store.fill(SCHEMA, AS_OF + 1, "log 2") as fill:
            fill.add("all", {"a": events(2)}, {"c": "a"})
            assert times(store, "a") == [[1]]
            assert store.resolve(["c"]) == ["c"]
        assert times(store, "a") == [[2]]
        assert store.resolve(["c"]) == ["a"]

    def test_an_interrupted_fill_goes_on_behind_its_last_part(self, store: HistoryStore) -> None:
        put(store, a=events(1))

        def fail_half_way() -> None:
            with store.fill(SCHEMA, AS_OF, "log 2") as fill:
                fill.add("part 1", {"b": events(2)}, {"b1": "b"})
                raise RuntimeError("half way")

        with pytest.raises(RuntimeError, match="half way"):
            fail_half_way()
        assert times(store, "a", "b") == [[1], None]
        with store.fill(SCHEMA, AS_OF, "log 2") as fill:
            assert fill.done == "part 1"
            fill.add("part 2", {"c": events(3)}, {})
            assert fill.done == "part 2"
        assert times(store, "a", "b", "c") == [None, [2], [3]]
        assert store.resolve(["b1"]) == ["b"]

    @pytest.mark.parametrize(
        "other", [(SCHEMA, AS_OF + 1, "log"), (SCHEMA, AS_OF, "log 2"), (SCHEMA.remove(2), AS_OF, "log")]
    )
    def test_a_fill_of_something_else_begins_anew(
        self, store: HistoryStore, other: tuple[pa.Schema, int, str]
    ) -> None:
        fill = store.fill(SCHEMA, AS_OF, "log")
        fill.add("part 1", {"b": events(2)}, {})
        fill.close()
        with store.fill(*other) as fill:
            assert fill.done == ""
        assert times(store, "b") == [None]

    def test_the_same_fill_again_begins_anew_once_it_serves(self, store: HistoryStore) -> None:
        put(store, a=events(1))
        with store.fill(SCHEMA, AS_OF, "log 1") as fill:
            assert fill.done == ""
            fill.add("all", {"a": events(1)}, {})
        assert times(store, "a") == [[1]]

    def test_erased_people_are_gone_also_from_an_interrupted_fill(self, store: HistoryStore) -> None:
        with store.fill(SCHEMA, AS_OF, "log 1") as fill:
            fill.add("all", {"a": events(1), "b": events(2)}, {"a1": "a", "b1": "b"})
        fill = store.fill(SCHEMA, AS_OF, "log 2")
        fill.add("part 1", {"a": events(1), "c": events(3)}, {"a2": "a"})
        fill.close()
        assert store.erase(["a", "c", "nobody"]) == 2
        assert times(store, "a", "b", "c") == [None, [2], None]
        assert store.resolve(["a1", "b1"]) == ["a1", "b"]
        assert (store.describe().people, store.describe().accounts) == (1, 1)
        with store.fill(SCHEMA, AS_OF, "log 2") as fill:
            assert fill.done == "part 1"
        assert times(store, "a", "c") == [None, None]
        assert store.resolve(["a2"]) == ["a2"]

    def test_only_one_fill_at_a_time(self, store: HistoryStore) -> None:
        put(store, a=events(1))
        fill = store.fill(SCHEMA, AS_OF, "log 2")
        with pytest.raises(StoreError, match="another fill"):
            store.fill(SCHEMA, AS_OF, "log 2")
        with pytest.raises(StoreError, match="another fill"):
            store.erase(["a"])
        fill.close()
        assert store.erase(["a"]) == 1

    def test_other_columns_are_refused(self, store: HistoryStore) -> None:
        with (
            pytest.raises(StoreError, match=r"other columns .* valid: event_time int64, kind string"),
            store.fill(SCHEMA, AS_OF, "log") as fill,
        ):
            fill.add("all", {"a": events(1).select(["event_time", "kind"])}, {})

    def test_nothing_is_read_before_the_first_fill(self, store: HistoryStore) -> None:
        with pytest.raises(StoreError, match="zhongcao fill"):
            store.describe()
        store.fill(SCHEMA, AS_OF, "log").close()
        with pytest.raises(StoreError, match="zhongcao fill"):
            store.get(["a"])

    def test_many_threads_read_while_fills_go_on(self, store: HistoryStore) -> None:
        people = [f"p{i}" for i in range(20)]
        put(store, 0, **{person: events(0) for person in people})

        def read(_: int) -> set[tuple[int, int]]:
            found = store.get(people)
            return {(found.as_of, history["event_time"][0].as_py()) for history in found.events if history}

        with ThreadPoolExecutor(4) as pool:
            seen = [pool.submit(read, i) for i in range(100)]
            for instant in range(1, 6):
                put(store, instant, **{person: events(instant) for person in people})
            answers = [one.result() for one in seen]
        # One answer never mixes two fills.
        assert all(len(answer) == 1 for answer in answers)
        assert all(as_of == value for answer in answers for as_of, value in answer)

    # One contract, several backends: each inherits the test, so it runs under several classes.
    @settings(
        max_examples=20,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
        deadline=None,
    )
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {
                    "event_time": st.none() | st.integers(-(2**63), 2**63 - 1),
                    "kind": st.none() | st.text(),
                    "read_percent": st.none() | st.floats(allow_nan=False),
                }
            ),
            max_size=8,
        )
    )
    def test_every_value_comes_back(self, store: HistoryStore, rows: list[dict[str, object]]) -> None:
        put(store, a=pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        found = store.get(["a"]).events[0]
        assert found is not None
        assert found.to_pylist() == rows


class TestSqliteHistories(HistoriesContract):
    def open(self, folder: Path) -> HistoryStore:
        return SqliteHistories(folder / "histories.sqlite")

    def test_the_file_is_its_owners(self, store: HistoryStore, tmp_path: Path) -> None:
        put(store, a=events(1))
        assert stat.S_IMODE((tmp_path / "histories.sqlite").stat().st_mode) == 0o600

    def test_erased_bytes_are_out_of_the_files(self, store: HistoryStore, tmp_path: Path) -> None:
        person = "c0ffee" * 5
        put(store, **{person: events(1), "b": events(2)})
        store.get(["b"])

        def stored() -> bool:
            return any(person.encode() in file.read_bytes() for file in tmp_path.glob("histories.sqlite*"))

        assert stored()
        store.erase([person])
        assert not stored()

    def test_histories_that_a_fill_replaced_are_out_of_the_files(self, store: HistoryStore, tmp_path: Path) -> None:
        gone = [f"c0ffee{i:026}" for i in range(400)]
        put(store, **dict.fromkeys(gone, events(1)))
        put(store, source="log 2", b=events(2))
        files = b"".join(file.read_bytes() for file in tmp_path.glob("histories.sqlite*"))
        assert times(store, "b") == [[2]]
        assert b"c0ffee" not in files

    def test_a_store_of_another_version_is_filled_anew(self, store: HistoryStore, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "histories.sqlite") as older:
            older.execute("CREATE TABLE fills (number INTEGER)")
        older.close()
        with pytest.raises(StoreError, match=r"another version of zhongcao.*zhongcao fill"):
            store.describe()
        put(store, a=events(1))
        assert times(store, "a") == [[1]]

    def test_a_killed_fill_leaves_the_old_histories_and_its_own_parts(
        self, store: HistoryStore, tmp_path: Path
    ) -> None:
        put(store, a=events(1))
        fill = store.fill(SCHEMA, AS_OF, "log 2")
        fill.add("part 1", {"a": events(2)}, {})
        # What a crash leaves on disk: the files as they are while the fill is open.
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in tmp_path.glob("histories.sqlite*"):
            (copy / file.name).write_bytes(file.read_bytes())
        fill.close()
        survivor = self.open(copy)
        assert times(survivor, "a") == [[1]]
        with survivor.fill(SCHEMA, AS_OF, "log 2") as again:
            assert again.done == "part 1"
        assert times(survivor, "a") == [[2]]
        survivor.close()
