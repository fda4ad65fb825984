from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from features.errors import SettingsError
from features.people.identity import Pseudonyms, account_key, load_key, person_key
from features.settings import load_settings


def test_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    key = load_key(settings)
    assert len(key) == 32
    assert load_key(settings) == key
    assert settings.key_file.stat().st_mode & 0o777 == 0o600
    assert settings.home.stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    load_key(settings)
    settings.key_file.chmod(0o644)
    with pytest.raises(SettingsError, match=r"others may read the key file.*chmod 600"):
        load_key(settings)


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    settings.key_file.write_bytes(b"short")
    settings.key_file.chmod(0o600)
    with pytest.raises(SettingsError, match="holds 5 bytes, not 32"):
        load_key(settings)


def test_account_key_is_a_truncated_hmac() -> None:
    key = b"k" * 32
    expected = hmac.new(key, b"account\x1ftaobao\x1fu1", hashlib.sha256).hexdigest()[:32]
    assert account_key(key, "taobao", "u1") == expected
    assert account_key(b"l" * 32, "taobao", "u1") != expected


def test_many_at_once_equal_one_by_one_even_when_the_memory_is_small() -> None:
    key = b"k" * 32
    made = Pseudonyms(key, limit=2)
    names = [f"u{n % 5}" for n in range(20)]
    assert made.accounts("jd", names) == [account_key(key, "jd", name) for name in names]
    assert made.accounts("jd", names[::-1]) == [account_key(key, "jd", name) for name in names[::-1]]
    assert made.persons(names) == [person_key(key, name) for name in names]
