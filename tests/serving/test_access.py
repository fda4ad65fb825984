from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.errors import AccessError
from serving.guard.access import KeyRing, check_bind, is_loopback


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "access.json")


def test_a_secret_has_256_bits_and_is_not_stored(ring: KeyRing, tmp_path: Path) -> None:
    secret, key = ring.add("ad server", ["predict"], brand="acme", days=30, now=1000)
    file = tmp_path / "access.json"
    assert len(secret) == len("zc_") + 43  # 32 bytes in base 64 without padding
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (key.name, key.scopes, key.brand, key.created, key.expires) == (
        "ad server",
        ("predict",),
        "acme",
        1000,
        1000 + 30 * 86_400,
    )
    assert KeyRing(file).find(secret) == key


def test_wrong_secrets_find_nothing(ring: KeyRing) -> None:
    secret, _ = ring.add("a", ["predict"])
    assert [ring.find(wrong) for wrong in ("", "zc_", secret[:-1], secret + "x", secret.lower(), "键")] == [
        None
    ] * 6


def test_a_key_opens_its_scopes_until_it_expires(ring: KeyRing) -> None:
    _, key = ring.add("a", ["predict"], days=1, now=1000)
    assert key.opens("predict", 1000 + 86_399)
    assert not key.opens("predict", 1000 + 86_400)
    assert not key.opens("ingest", 1000)
    assert not key.opens("admin", 1000)


def test_admin_opens_everything(ring: KeyRing) -> None:
    _, key = ring.add("a", ["admin"])
    assert all(key.opens(scope, 0) for scope in ("predict", "ingest", "admin"))


def test_another_process_sees_a_revoked_key_at_once(ring: KeyRing, tmp_path: Path) -> None:
    server = KeyRing(tmp_path / "access.json")
    kept, _ = ring.add("a", ["predict"])
    secret, key = ring.add("b", ["predict"])
    assert server.find(secret) == key
    ring.revoke(key.id)
    assert server.find(secret) is None
    assert server.find(kept) is not None


def test_unknown_scopes_and_ids_are_named(ring: KeyRing) -> None:
    _, key = ring.add("a", ["predict"])
    with pytest.raises(AccessError, match="'predicts'; valid: predict, ingest, export, admin"):
        ring.add("a", ["predict", "predicts"])
    with pytest.raises(AccessError, match="unknown scope"):
        ring.add("a", [])
    with pytest.raises(AccessError, match=f"'nope'; valid: {key.id}"):
        ring.revoke("nope")


def test_a_file_that_others_may_read_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.add("a", ["predict"])
    (tmp_path / "access.json").chmod(0o644)
    with pytest.raises(AccessError, match="chmod 600"):
        KeyRing(tmp_path / "access.json").known()


@pytest.mark.parametrize("content", ["", "[", "{}", '[{"id": "a"}]', '[{"scopes": ["root"]}]'])
def test_a_damaged_file_opens_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "access.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(AccessError, match="not a file of API keys"):
        KeyRing(file).find("zc_anything")


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: KeyRing(file).add(f"k{i}", ["predict"])[1], range(12)))
    assert {key.id for key in KeyRing(file).known()} == {key.id for key in made}
    assert len(json.loads(file.read_text())) == 12


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_key(ring: KeyRing, host: str) -> None:
    assert is_loopback(host)
    check_bind(host, ring, now=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "shop.example"])  # noqa: S104
def test_a_wider_address_needs_a_valid_key(ring: KeyRing, host: str) -> None:
    with pytest.raises(AccessError, match=r"without an API key: .*zhongcao keys add"):
        check_bind(host, ring, now=0)
    ring.add("ingest only", ["ingest"])
    ring.add("expired", ["predict"], days=1, now=0)
    ring.add("of one brand", ["predict"], brand="acme")
    with pytest.raises(AccessError, match="without an API key"):
        check_bind(host, ring, now=86_400)
    ring.add("valid", ["predict"])
    check_bind(host, ring, now=86_400)


def test_loopback_may_need_a_key_too(ring: KeyRing) -> None:
    with pytest.raises(AccessError, match=r"without an API key: '127\.0\.0\.1'; .*leave out --require-key"):
        check_bind("127.0.0.1", ring, now=0, require_key=True)
    ring.add("valid", ["predict"])
    check_bind("127.0.0.1", ring, now=0, require_key=True)
