from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from features.errors import AccessError, BundleError, SettingsError, StoreError
from features.people.identity import load_key
from features.settings import Settings
from serving.messages.schemas import AccountRef
from serving.online.sqlite_store import SqliteStore
from serving.scoring.scorer import Scorer
from serving.server.serve import _listen, _reserve, serve
from tests.serving.fakes import AS_OF
from tests.serving.homes import PEOPLE, tiny_home
from tests.serving.servers import START_SECONDS, free_port, running
from tests.source_tree import ROOT
from training.bundles.champion import champion_path
from training.tags.bundle import load_bundle
from training.tags.model import TagModel


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("home"))


@pytest.mark.e2e
def test_a_running_server(home: Settings) -> None:
    port = free_port()
    account = "13800138000"
    known = [{"platform": "shop", "account": f"a{i}"} for i in range(PEOPLE)]
    with running(home, port) as (process, url):
        ready = httpx.get(f"{url}/readyz").json()
        assert (ready["people"], ready["as_of"], ready["tags"]) == (PEOPLE, AS_OF, 3)
        body = {"people": [{"platform": "shop", "account": account}, *known], "top": 2, "explain": True}
        with httpx.Client(base_url=url) as http:
            answer = http.post("/v1/tags", json=body).json()
            assert http.post("/v1/tags", json={**body, account: 1}).status_code == 422
            assert (
                http.post(
                    "/v1/tags", content=b" " * 2_000_001, headers={"Content-Type": "application/json"}
                ).status_code
                == 413
            )
            assert http.get(f"/v1/{account}").status_code == 404
            assert http.get("/metrics").status_code == 404
            assert http.get("/").headers["content-type"] == "application/problem+json"
        assert [p["status"] for p in answer["people"]] == ["unknown", *["known"] * PEOPLE]
        assert answer["model"] == ready["model"]

        # The server says what the same scorer says in this process.
        store = SqliteStore(home.store_file)
        scorer = Scorer(load_bundle(champion_path(home)), store, load_key(home))
        here = scorer.tags([AccountRef(**one) for one in known], top=2)
        store.close()
        assert [[t["probability"] for t in p["tags"]] for p in answer["people"][1:]] == [
            [t.probability for t in p.tags] for p in here
        ]

        def ask(i: int) -> object:
            return httpx.post(f"{url}/v1/tags", json={"people": [known[i]], "top": 2}, timeout=30).json()["people"][
                0
            ]

        with ThreadPoolExecutor(8) as pool:
            for i, person in enumerate(pool.map(ask, range(40))):
                assert [t["id"] for t in person["tags"]] == [t.id for t in here[i].tags]  # type: ignore[index]

        process.send_signal(signal.SIGTERM)
        written, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"curl -s http://127.0.0.1:{port}/v1/tags" in written
    assert "stopped" in written
    assert account not in written
    assert not [one for one in known if f'"{one["account"]}"' in written]


@pytest.mark.e2e
def test_a_head_without_end_is_cut_off(home: Settings) -> None:
    port = free_port()
    with running(home, port) as (_, url), socket.create_connection(("127.0.0.1", port), 10) as caller:
        endless = b"GET /livez HTTP/1.1\r\nHost: a.example\r\n" + b"X-Long: " + b"a" * 100_000_000
        with pytest.raises(OSError, match=r"reset|pipe"):
            caller.sendall(endless)
        large = {"X-Long": "a" * 20_000}
        assert httpx.get(f"{url}/livez", headers=large).status_code == 200
        body = b"%-1500000s" % b'{"people": [{"platform": "shop", "account": "a1"}]}'
        with httpx.Client(base_url=url, headers={"Content-Type": "application/json"}) as http:
            assert [http.post("/v1/tags", content=body).status_code for _ in range(3)] == [200] * 3


@pytest.mark.e2e
def test_without_a_champion_the_command_says_what_to_do(tmp_path: Path) -> None:
    environment = {**os.environ, "ZHONGCAO_HOME": str(tmp_path / "empty"), "ZHONGCAO_CONFIG": os.devnull}
    command = [sys.executable, "-m", "serving.cli.main", "serve", "--port", str(free_port())]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, env=environment, cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: there is no champion yet; run `zhongcao retrain` first\n"


def here(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"port": free_port(), **changes})


def test_a_corrupt_champion_is_refused_by_name(tmp_path: Path) -> None:
    settings = tiny_home(tmp_path)
    model = champion_path(settings) / "pooled.txt"
    model.write_text(model.read_text().replace("num_leaves=4", "num_leaves=9", 1))
    with pytest.raises(BundleError, match=r"pooled\.txt"):
        serve(here(settings))


def test_a_store_for_another_bundle_is_refused(home: Settings, tmp_path: Path) -> None:
    copied = tmp_path / "home"
    copied.mkdir()
    for name in ("bundles", "champion.json", "key"):
        (copied / name).symlink_to(home.home / name)
    settings = here(home, home=copied)
    with pytest.raises(StoreError, match="there is no online store yet; run `zhongcao retrain`"):
        serve(settings)
    store = SqliteStore(settings.store_file)
    with store.fill("another layout", 1, AS_OF):
        pass
    store.close()
    with pytest.raises(StoreError, match="layout of the bundle: 'another layout'"):
        serve(settings)


def test_a_taken_port_is_named(home: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Address already in use: '127.0.0.1:{port}'; .*--port"):
            serve(here(home, port=port))


def test_callers_are_refused_until_the_model_is_warm(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = here(home)

    def warm(model: TagModel) -> None:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", settings.port), 5)
        raise InterruptedError

    monkeypatch.setattr(TagModel, "warm", warm)
    with pytest.raises(InterruptedError):
        serve(settings)


def test_of_two_servers_that_start_at_once_the_later_one_is_refused(home: Settings) -> None:
    settings = here(home)
    with _reserve("127.0.0.1", settings.port) as one, _reserve("127.0.0.1", settings.port) as other:
        _listen(one, settings)
        socket.create_connection(("127.0.0.1", settings.port), 5).close()
        with pytest.raises(SettingsError, match="Address already in use"):
            _listen(other, settings)


def test_loopback_may_need_a_key(home: Settings) -> None:
    with pytest.raises(AccessError, match="leave out --require-key"):
        serve(here(home), require_key=True)


def test_a_wider_address_needs_a_key(home: Settings) -> None:
    with pytest.raises(AccessError, match=r"without an API key: '0\.0\.0\.0'"):
        serve(here(home, host="0.0.0.0"))  # noqa: S104
