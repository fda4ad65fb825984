from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SettingsError
from features.settings import load_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_environment_wins_over_file_and_arguments_over_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "zhongcao.toml").write_text('home = "from-file"\nport = 4000\nthreads = 3\n')
    monkeypatch.setenv("ZHONGCAO_PORT", "5000")
    settings = load_settings(threads=1)
    assert (settings.home, settings.port, settings.threads) == (Path("from-file"), 5000, 1)


def test_a_wrong_value_names_field_value_and_where_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_TIMEZONE", "Asia/Peking2")
    with pytest.raises(SettingsError, match=r"timezone.*IANA.*'Asia/Peking2'.*ZHONGCAO_TIMEZONE"):
        load_settings()


def test_unknown_names_are_refused_in_file_and_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "zhongcao.toml").write_text("prot = 4000\n")
    with pytest.raises(SettingsError, match=r"unknown setting: 'prot'; valid: .*port"):
        load_settings()
    (folder / "zhongcao.toml").unlink()
    monkeypatch.setenv("ZHONGCAO_PROT", "4000")
    with pytest.raises(
        SettingsError, match=r"unknown environment variable: 'ZHONGCAO_PROT'; valid: .*ZHONGCAO_PORT"
    ):
        load_settings()


def test_a_file_that_is_not_there_or_not_toml_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "zhongcao.toml").write_text("home = \n")
    with pytest.raises(SettingsError, match=r"not TOML.*line 1.*'zhongcao\.toml'"):
        load_settings()
    monkeypatch.setenv("ZHONGCAO_CONFIG", "elsewhere.toml")
    with pytest.raises(SettingsError, match=r"not there: 'elsewhere\.toml'"):
        load_settings()
