from __future__ import annotations

import sqlite3
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.errors import StoreError
from serving.online.sqlite_store import SqliteStore
from serving.online.store import OnlineStore
from tests.serving.live_contract import AS_OF, LiveContract, matrix


class StoreContract(LiveContract, ABC):
    """What every backend of the online store must do; subclass it and say how to open one."""

    @abstractmethod
    def open(self, folder: Path) -> OnlineStore:
        """Open a store that lives in the folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[OnlineStore]:
        store = self.open(tmp_path)
        yield store
        store.close()

    def test_rows_come_back_in_the_order_asked(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a", "b"], matrix((1, 2), (3, np.nan)))
        b, nobody, a, again = store.get(["b", "x", "a", "b"])
        assert nobody is None
        assert a is not None
        assert b is not None
        assert again is not None
        assert a.vector.tolist() == [1.0, 2.0]
        np.testing.assert_array_equal(b.vector, np.array([3, np.nan], np.float32))
        np.testing.assert_array_equal(again.vector, b.vector)
        assert a.as_of == AS_OF
        assert a.vector.dtype == np.float32
        assert a.schema_hash == "h"

    def test_more_people_than_fit_one_query(self, store: OnlineStore) -> None:
        people = [f"p{i}" for i in range(2500)]
        store.replace("h", AS_OF, people, np.arange(2500, dtype=np.float32)[:, None])
        rows = store.get([*people[::-1], "x"])
        assert [row and row.vector.tolist() for row in rows] == [*([float(i)] for i in range(2499, -1, -1)), None]

    def test_a_fill_replaces_all_that_was_there(self, store: OnlineStore) -> None:
        with store.fill("h1", 1, AS_OF) as fill:
            fill.add(["a"], matrix((1,)))
            fill.link(["account"], ["a"])
        with store.fill("h2", 2, AS_OF + 1) as fill:
            fill.add(["b"], matrix((1, 2)))
        info = store.describe()
        assert (info.schema_hash, info.width, info.as_of, info.people, info.accounts) == ("h2", 2, AS_OF + 1, 1, 0)
        assert store.get(["a"]) == [None]
        assert store.resolve(["account"]) == ["account"]

    def test_an_adding_fill_keeps_the_others(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a", "b"], matrix((1,), (2,)))
        with store.fill("h", 1, AS_OF + 5, replace=False) as fill:
            fill.add(["b", "c"], matrix((20,), (30,)))
        rows = store.get(["a", "b", "c"])
        assert [(row.as_of, row.vector.tolist()) for row in rows if row] == [
            (AS_OF, [1.0]),
            (AS_OF + 5, [20.0]),
            (AS_OF + 5, [30.0]),
        ]
        assert store.describe().people == 3

    def test_rows_of_another_layout_are_not_added(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        with pytest.raises(StoreError, match="another layout: 'g'; valid: h"):
            store.fill("g", 1, AS_OF, replace=False)

    def test_accounts_lead_to_their_person(self, store: OnlineStore) -> None:
        with store.fill("h", 1, AS_OF) as fill:
            fill.add(["p"], matrix((1,)))
            fill.link(["one", "two"], ["p", "p"])
        assert store.resolve(["two", "other", "one"]) == ["p", "other", "p"]
        assert store.describe().accounts == 2

    def test_a_failed_fill_changes_nothing(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))

        def fail_half_way() -> None:
            with store.fill("h2", 1, AS_OF) as fill:
                fill.add(["b"], matrix((2,)))
                raise RuntimeError("half way")

        with pytest.raises(RuntimeError, match="half way"):
            fail_half_way()
        assert store.describe().schema_hash == "h"
        assert store.get(["b"]) == [None]

    def test_readers_see_the_old_rows_until_the_commit(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        fill = store.fill("h", 1, AS_OF + 1)
        fill.add(["a"], matrix((2,)))
        before = store.get(["a"])[0]
        fill.commit()
        after = store.get(["a"])[0]
        assert before is not None
        assert after is not None
        assert (before.as_of, before.vector[0]) == (AS_OF, 1.0)
        assert (after.as_of, after.vector[0]) == (AS_OF + 1, 2.0)

    def test_many_threads_read_while_fills_go_on(self, store: OnlineStore) -> None:
        people = [f"p{i}" for i in range(50)]
        store.replace("h", 0, people, np.zeros((50, 4), np.float32))

        def read(_: int) -> set[tuple[int, float]]:
            return {(row.as_of, value) for row in store.get(people) if row for value in row.vector.tolist()}

        with ThreadPoolExecutor(4) as pool:
            seen = [pool.submit(read, i) for i in range(100)]
            for instant in range(1, 6):
                store.replace("h", instant, people, np.full((50, 4), instant, np.float32))
            answers = [one.result() for one in seen]
        # One answer never mixes two fills.
        assert all(len(answer) == 1 for answer in answers)
        assert all(as_of == value for answer in answers for as_of, value in answer)

    def test_only_one_fill_at_a_time(self, store: OnlineStore) -> None:
        first = store.fill("h", 1, AS_OF)
        with pytest.raises(StoreError, match="another fill"):
            store.fill("h", 1, AS_OF)
        first.abandon()

    @pytest.mark.parametrize(
        "block", [np.zeros((1, 3), np.float32), np.zeros((2, 2), np.float32), np.zeros((1, 2))]
    )
    def test_rows_that_do_not_fit_are_refused(self, store: OnlineStore, block: np.ndarray) -> None:
        with (
            pytest.raises(StoreError, match=r"do not fit .* valid: float32 \[1, 2\]"),
            store.fill("h", 2, AS_OF) as fill,
        ):
            fill.add(["a"], block)

    def test_nothing_is_read_before_the_first_fill(self, store: OnlineStore) -> None:
        with pytest.raises(StoreError, match="retrain"):
            store.describe()

    def test_a_scan_goes_through_a_range_of_keys_in_order(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["c", "a", "b"], matrix((3,), (1,), (2,)))
        with store.fill("h", 1, AS_OF + 5, replace=False) as fill:
            fill.add(["d"], matrix((4,)))
        name = store.describe().fill
        blocks = list(store.scan(name, "", None, 3))
        assert [block.persons for block in blocks] == [["a", "b", "c"], ["d"]]
        assert [block.matrix.tolist() for block in blocks] == [[[1.0], [2.0], [3.0]], [[4.0]]]
        assert [block.as_of.tolist() for block in blocks] == [[AS_OF] * 3, [AS_OF + 5]]
        assert blocks[0].matrix.dtype == np.float32
        assert [block.persons for block in store.scan(name, "b", "d", 9)] == [["b", "c"]]
        assert list(store.scan(name, "x", None, 9)) == []

    def test_a_scan_of_rows_that_were_replaced_is_refused(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        before = store.describe().fill
        store.replace("h", AS_OF, ["a"], matrix((2,)))
        with pytest.raises(StoreError, match=f"filled anew .* valid: {before}"):
            list(store.scan(before, "", None, 1))

    def test_a_scan_under_way_keeps_to_its_fill(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a", "b"], matrix((1,), (1,)))
        scan = store.scan(store.describe().fill, "", None, 1)
        first = next(scan)
        store.replace("h", AS_OF, ["a", "b"], matrix((2,), (2,)))
        assert [first.matrix.item(), *(block.matrix.item() for block in scan)] == [1.0, 1.0]

    def test_equal_fills_have_equal_names_and_others_others(self, store: OnlineStore) -> None:
        def name(instant: int, value: float, link: str) -> str:
            with store.fill("h", 1, instant) as fill:
                fill.add(["a"], matrix((value,)))
                fill.link([link], ["a"])
            return store.describe().fill

        first = name(AS_OF, 1, "x")
        others = {name(AS_OF + 1, 1, "x"), name(AS_OF, 2, "x"), name(AS_OF, 1, "y")}
        assert name(AS_OF, 1, "x") == first
        with store.fill("h", 1, AS_OF, replace=False) as fill:
            fill.add(["a"], matrix((1,)))
        assert len({first, store.describe().fill, *others}) == 5

    # One contract, several backends: each inherits the test, so it runs under several classes.
    @settings(
        max_examples=20,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
        deadline=None,
    )
    @given(
        rows=arrays(
            np.float32,
            st.tuples(st.integers(1, 6), st.integers(1, 9)),
            elements=st.floats(width=32, allow_nan=True, allow_infinity=False),
        )
    )
    def test_every_bit_of_a_row_comes_back(self, store: OnlineStore, rows: np.ndarray) -> None:
        people = [str(i) for i in range(len(rows))]
        store.replace("h", AS_OF, people, rows)
        for row, stored in zip(rows, store.get(people), strict=True):
            assert stored is not None
            assert stored.vector.tobytes() == row.tobytes()


class TestSqliteStore(StoreContract):
    def open(self, folder: Path) -> OnlineStore:
        return SqliteStore(folder / "online.sqlite")

    def test_the_file_is_its_owners(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        assert stat.S_IMODE((tmp_path / "online.sqlite").stat().st_mode) == 0o600

    def test_rows_that_a_fill_replaced_are_out_of_the_files(self, store: OnlineStore, tmp_path: Path) -> None:
        gone = [f"c0ffee{i:026}" for i in range(400)]
        store.replace("h", AS_OF, gone, np.ones((400, 1), np.float32))
        store.replace("h", AS_OF, ["b"], matrix((1,)))
        files = b"".join(file.read_bytes() for file in tmp_path.glob("online.sqlite*"))
        assert b"c0ffee" not in files

    def test_threads_that_come_and_go_leave_no_files_open(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))

        def open_files() -> int:
            return sum(
                str(tmp_path) in str(file.readlink())
                for file in Path("/proc/self/fd").iterdir()
                if file.is_symlink()
            )

        store.get(["a"])
        before = open_files()
        for _ in range(20):
            thread = Thread(target=store.get, args=(["a"],))
            thread.start()
            thread.join()
        assert open_files() == before

    def test_a_store_of_an_older_version_is_named_and_filled_anew(self, store: OnlineStore, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "online.sqlite") as older:
            older.execute("CREATE TABLE meta (schema_hash TEXT)")
        older.close()
        with pytest.raises(StoreError, match=r"another version of zhongcao.*zhongcao retrain"):
            store.describe()
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        assert store.describe().people == 1

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "online.sqlite"
        path.write_bytes(b"not a database, but long enough to be looked at" * 40)
        store = SqliteStore(path)
        with pytest.raises(StoreError, match=r"damaged.*online\.sqlite"):
            store.describe()
        store.close()

    def test_a_killed_fill_leaves_the_old_rows(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        fill = store.fill("h", 1, AS_OF)
        fill.add(["b"], matrix((2,)))
        # What a crash leaves on disk: the files as they are while the transaction is open.
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in tmp_path.glob("online.sqlite*"):
            (copy / file.name).write_bytes(file.read_bytes())
        fill.abandon()
        survivor = self.open(copy)
        assert [row and row.vector.tolist() for row in survivor.get(["a", "b"])] == [[1.0], None]
        survivor.close()
