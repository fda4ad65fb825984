"""What several test modules read and none of them changes."""

from __future__ import annotations

import pytest

from features.settings import Settings
from tests.serving.asked_homes import conversion_champion_home
from tests.serving.conversion_homes import conversion_log, filled


@pytest.fixture(scope="session")
def conversion_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the log of `conversion_homes` and histories as of its `AS_OF`; who changes it copies it first."""
    settings = conversion_log(tmp_path_factory.mktemp("conversions"))
    filled(settings)
    return settings


@pytest.fixture(scope="session")
def small_champions(conversion_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """That home with small champions of both kinds and both stores filled; who changes it copies it first."""
    return conversion_champion_home(conversion_home, tmp_path_factory.mktemp("champions"))
