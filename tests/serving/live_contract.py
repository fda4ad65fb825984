"""What every backend of the online store must do with live events; part of the suite in `test_store.py`."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import StoreError
from serving.online.store import Live, OnlineStore, StoredState, Update

AS_OF = 1_509_494_400


def matrix(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


class LiveContract:
    """Tests of states, updates and the position in the inbox."""

    def with_states(self, store: OnlineStore) -> Live:
        with store.fill("h", 1, AS_OF) as fill:
            fill.add(["a", "b"], matrix((1,), (2,)))
            fill.keep(["a", "c"], [StoredState(b"a0", 7, AS_OF), StoredState(b"c0", 7, AS_OF)])
            fill.live(7, "states-1", "{}")
        live = store.live()
        assert live is not None
        return live

    def test_states_lie_beside_rows(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        assert (live.seq, live.state_hash, live.facts) == (7, "states-1", "{}")
        assert live.fill == store.describe().fill
        assert store.states(["c", "b", "a"]) == [StoredState(b"c0", 7, AS_OF), None, StoredState(b"a0", 7, AS_OF)]
        assert store.get(["c"]) == [None]
        assert store.describe().people == 2

    def test_an_update_moves_rows_states_and_position_at_once(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        states = [StoredState(name.encode(), seq, AS_OF + 5) for name, seq in (("a1", 8), ("c1", 9), ("d1", 10))]
        store.update(
            live,
            11,
            [
                Update("a", states[0], AS_OF + 6, np.array([10], np.float32)),
                Update("c", states[1], AS_OF + 6, None),
                Update("d", states[2], AS_OF + 6, np.array([40], np.float32)),
            ],
        )
        after = store.live()
        assert after is not None
        assert (after.fill, after.seq) == (live.fill, 11)
        assert store.states(["a", "c", "d"]) == states
        rows = store.get(["a", "b", "c", "d"])
        assert [row and (row.as_of, row.vector.tolist()) for row in rows] == [
            (AS_OF + 6, [10.0]),
            (AS_OF, [2.0]),
            None,
            (AS_OF + 6, [40.0]),
        ]
        assert store.describe().people == 3
        assert store.describe().as_of == AS_OF

    def test_a_row_says_its_last_event_and_its_fill(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        fill = (live.fill, AS_OF)
        new, silent = StoredState(b"a1", 8, AS_OF + 4), StoredState(b"b1", 10, AS_OF + 5)
        store.update(
            live, 11, [Update("a", new, AS_OF + 6, np.array([10], np.float32)), Update("b", silent, 0, None)]
        )
        rows = store.get(["a", "b"])
        # What moves a state alone leaves the row at what is in it.
        assert [row and (row.fill, row.filled_at, row.seq, row.arrived_at) for row in rows] == [
            (*fill, 8, AS_OF + 4),
            (*fill, None, AS_OF),
        ]
        with store.fill("h", 1, AS_OF + 9) as again:
            again.add(["a"], matrix((3,)))
        [row] = store.get(["a"])
        assert row is not None
        assert (row.filled_at, row.seq, row.arrived_at) == (AS_OF + 9, None, AS_OF + 9)

    def test_who_updates_second_is_refused(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        store.update(live, 8, [])
        late = Update("a", StoredState(b"late", 8, AS_OF), AS_OF, np.array([9], np.float32))
        with pytest.raises(StoreError, match="filled or updated meanwhile"):
            store.update(live, 8, [late])
        assert store.states(["a"]) == [StoredState(b"a0", 7, AS_OF)]
        now = store.live()
        assert now is not None
        self.with_states(store)
        again = self.with_states(store)
        with pytest.raises(StoreError, match="filled or updated meanwhile"):
            store.update(now, 9, [late])
        assert store.live() == again

    def test_a_row_that_does_not_fit_updates_nothing(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        good = Update("a", StoredState(b"a1", 8, AS_OF), AS_OF, np.array([9], np.float32))
        wide = Update("b", StoredState(b"b1", 9, AS_OF), AS_OF, np.array([1, 2], np.float32))
        with pytest.raises(StoreError, match="do not fit"):
            store.update(live, 9, [good, wide])
        assert store.live() == live
        assert store.states(["a"]) == [StoredState(b"a0", 7, AS_OF)]

    def test_a_fill_without_states_takes_no_updates(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        with store.fill("h", 1, AS_OF, replace=False) as fill:
            fill.add(["b"], matrix((3,)))
        added = store.live()
        assert added is not None
        assert (added.seq, added.fill == live.fill) == (7, False)
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        assert store.live() is None
        assert store.states(["a"]) == [None]
        with pytest.raises(StoreError, match="filled or updated meanwhile"):
            store.update(live, 8, [])

    def test_updates_go_on_while_a_fill_is_under_way(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        fill = store.fill("h", 1, AS_OF + 9)
        fill.add(["a"], matrix((5,)))
        store.update(live, 8, [Update("a", StoredState(b"a1", 8, AS_OF), AS_OF, np.array([9], np.float32))])
        [row] = store.get(["a"])
        assert row is not None
        assert row.vector.tolist() == [9.0]
        fill.live(8, "states-1", "{}")
        fill.commit()
        [row] = store.get(["a"])
        assert row is not None
        assert row.vector.tolist() == [5.0]
