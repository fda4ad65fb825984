from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from features.errors import SettingsError, StoreError
from features.settings import Settings, load_settings
from serving.online.choice import open_store
from serving.online.redis_erase import RedisPlace
from serving.online.redis_link import checked
from serving.online.redis_store import RedisStore
from serving.online.store import OnlineStore, StoredState, Update
from serving.rights.erasure import places_of
from tests.beyond import require
from tests.serving.live_contract import AS_OF, matrix
from tests.serving.redis_server import PASSWORD, redis_server, server
from tests.serving.test_store import StoreContract

__all__ = ["server"]


class TestRedisStore(StoreContract):
    url: str
    client: Any

    @pytest.fixture(autouse=True)
    def _empty(self, server: str) -> Iterator[None]:
        import redis  # noqa: PLC0415  (an extra)

        self.url = server
        with redis.Redis.from_url(server) as self.client:
            self.client.flushdb()
            yield

    def open(self, folder: Path) -> OnlineStore:
        return RedisStore(self.url)

    def generations(self) -> set[bytes]:
        return {key.split(b":")[1] for key in self.client.keys("zhongcao:*:*")}

    def test_rows_that_a_fill_replaced_are_deleted(self, store: OnlineStore) -> None:
        for value in (1, 2, 3):
            with store.fill("h", 1, AS_OF) as fill:
                fill.add(["a"], matrix((value,)))
                fill.link(["account"], ["a"])
        assert self.generations() == {self.client.get("zhongcao:current")}
        assert self.client.get("zhongcao:staged") is None

    def test_an_adding_fill_leaves_one_generation(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        with store.fill("h", 1, AS_OF, replace=False) as fill:
            fill.add([f"b{i}" for i in range(3000)], np.ones((3000, 1), np.float32))
        assert self.generations() == {self.client.get("zhongcao:current")}
        assert store.describe().people == 3001

    def test_the_last_scan_of_a_replaced_generation_deletes_it(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a", "b"], matrix((1,), (1,)))
        name = store.describe().fill
        first, second = store.scan(name, "", None, 1), store.scan(name, "", None, 1)
        next(first)
        next(second)
        old = self.client.get("zhongcao:current")
        store.replace("h", AS_OF, ["a"], matrix((2,)))
        # A scan that was killed keeps nothing for ever.
        assert 0 < self.client.ttl(b"zhongcao:%s:rows" % old) <= 600
        list(first)
        assert old in self.generations()
        assert [block.matrix.item() for block in second] == [1.0]
        assert self.generations() == {self.client.get("zhongcao:current")}

    def test_what_a_killed_fill_left_is_deleted_by_the_next(self, store: OnlineStore) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        killed = store.fill("h", 1, AS_OF)
        killed.add(["b"], matrix((2,)))
        self.client.delete("zhongcao:filling")  # as it expires
        with store.fill("h", 1, AS_OF) as fill:
            fill.add(["c"], matrix((3,)))
        assert store.get(["a", "b"]) == [None, None]
        assert self.generations() == {self.client.get("zhongcao:current")}
        for late in (lambda: killed.add(["b"], matrix((2,))), killed.commit):
            with pytest.raises(StoreError, match="another has begun since"):
                late()
        assert store.describe().people == 1

    def test_a_slow_fill_goes_on_where_no_other_began(self, store: OnlineStore) -> None:
        fill = store.fill("h", 1, AS_OF)
        fill.add(["a"], matrix((1,)))
        self.client.delete("zhongcao:filling")
        fill.add(["b"], matrix((2,)))
        with pytest.raises(StoreError, match="another fill"):
            store.fill("h", 1, AS_OF)
        fill.commit()
        fill.commit()  # asked for again, because the answer was lost
        assert store.describe().people == 2

    def test_values_are_little_endian_bytes(self, store: OnlineStore) -> None:
        with store.fill("h", 1, 258) as fill:
            fill.add(["a"], matrix((1,)))
            fill.keep(["a"], [StoredState(b"held", 1, 2)])
            fill.live(1, "s", "{}")
        key, stored = b"zhongcao:%s:" % self.client.get("zhongcao:current"), b"\x02\x01" + bytes(6)
        assert self.client.hget(key + b"rows", "a") == stored + b"\xff" * 8 + stored + b"\x00\x00\x80\x3f"
        assert self.client.hget(key + b"states", "a") == b"\x01" + bytes(7) + b"\x02" + bytes(7) + b"held"

    def test_people_who_came_by_updates_are_scanned(self, store: OnlineStore) -> None:
        live = self.with_states(store)
        store.update(live, 8, [Update("d", StoredState(b"", 8, AS_OF), AS_OF, np.array([4], np.float32))])
        blocks = store.scan(live.fill, "", None, 2)
        assert [block.persons for block in blocks] == [["a", "b"], ["d"]]

    def test_settings_choose_it(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        opened = open_store(Settings(home=tmp_path, store=self.url))
        assert opened.describe() == store.describe()
        opened.close()


def test_erasure_deletes_from_every_generation(server: str, tmp_path: Path) -> None:
    import redis  # noqa: PLC0415  (an extra)

    store, place = RedisStore(server), RedisPlace("online store", server)
    with redis.Redis.from_url(server) as client:
        client.flushdb()
        assert place.erase(["c0ffee"], []) == 0
        for _ in range(2):
            with store.fill("h", 1, AS_OF) as fill:
                fill.add(["c0ffee", "b"], matrix((1,), (2,)))
                fill.keep(["c0ffee"], [StoredState(b"s", 1, AS_OF)])
                fill.link(["acc0unt", "other"], ["c0ffee", "b"])
                fill.live(1, "s", "{}")
            scan = store.scan(store.describe().fill, "", None, 1)
            next(scan)
        cut_off = store.fill("h", 1, AS_OF)
        cut_off.add(["c0ffee"], matrix((3,)))
        with pytest.raises(StoreError, match="another fill"):
            place.erase(["c0ffee"], [])
        client.delete("zhongcao:filling")  # as it expires
        assert place.erase(["c0ffee"], []) > 0
        held = b"".join(client.dump(key) or b"" for key in client.keys("*"))
        assert b"c0ffee" not in held
        assert b"acc0unt" not in held
        assert place.erase(["c0ffee"], ["acc0unt"]) == 0
    assert store.get(["c0ffee", "b"])[0] is None
    assert (store.describe().people, store.describe().accounts, store.resolve(["other"])) == (1, 1, ["b"])
    store.close()


def test_an_installation_with_redis_erases_from_it(tmp_path: Path) -> None:
    require("redis")
    places = places_of(Settings(home=tmp_path, store="redis://127.0.0.1:1/0"), "some")
    assert [type(place) for place in places if place.name == "online store"] == [RedisPlace]
    # A file from before Redis was chosen is erased from as well.
    assert "embedded online store" in [place.name for place in places]


def test_a_wrong_password_is_named_and_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", PASSWORD) as url:
        right = RedisStore(url.replace("//", f"//:{quote(PASSWORD, safe='')}@"))
        right.replace("h", AS_OF, ["a"], matrix((1,)))
        assert right.describe().people == 1
        right.close()
        for user in ("", ":wr0ng@"):
            store = RedisStore(url.replace("//", f"//{user}"))
            with pytest.raises(StoreError, match="refuses user or password: 'redis://127") as refused:
                store.describe()
            assert "wr0ng" not in str(refused.value)
            store.close()


def test_a_full_server_is_named_and_keeps_its_rows(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as url:
        store = RedisStore(url)
        store.replace("h", AS_OF, ["a"], matrix((1,)))
        before = store.describe()
        with pytest.raises(StoreError, match="is full"):
            store.replace("h", AS_OF, [f"{i}" for i in range(1800)], np.ones((1800, 1000), np.float32))
        assert store.describe() == before
        store.close()


def test_a_server_that_is_gone_or_silent_is_named(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        silent = RedisStore(f"{url}?socket_timeout=0.05")
        import redis  # noqa: PLC0415  (an extra)

        with redis.Redis.from_url(url) as client:
            client.client_pause(60_000)
            with pytest.raises(StoreError, match="does not answer in time"):
                silent.describe()
        silent.close()
    gone = RedisStore(url)
    with pytest.raises(StoreError, match="cannot be reached"):
        gone.get(["a"])
    gone.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:s3cret@h/0",
        "redis://:s3cret/x@127.0.0.1:6379/0",
        "redis://:s3cret@/0",
        "s3cret",
        "rediss://h/s3cret",
    ],
)
def test_no_part_of_a_refused_url_is_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"setting store: no store that is known.*percent-encode") as refused:
        open_store(load_settings(store=url))
    assert "s3cret" not in f"{refused.value} {refused.value.__cause__} {load_settings(store=url)!r}"


def test_rows_leave_this_machine_encrypted_only() -> None:
    with pytest.raises(SettingsError, match=r"reached encrypted.*'redis://cache.example/0'"):
        checked("redis://:s3cret@cache.example/0")
    for url in (
        "redis://localhost",
        "redis://[::1]:6379/2",
        "rediss://cache.example:6380/0",
        "unix:///run/redis.sock",
    ):
        assert checked(url) == url
