"""Which online store the settings choose."""

from __future__ import annotations

from features.settings import Settings
from serving.online.redis_store import RedisStore
from serving.online.sqlite_store import SqliteStore
from serving.online.store import OnlineStore


def open_store(settings: Settings) -> OnlineStore:
    """Open the online store of an installation, with the rows as they were filled; whoever opened it closes it.

    Raises
    ------
    SettingsError
        The setting ``store`` is neither ``sqlite`` nor a URL of Redis.
    StoreError
        The extra ``redis`` is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> type(open_store(Settings(home=Path("elsewhere"), store="sqlite"))).__name__
    'SqliteStore'
    """
    return SqliteStore(settings.store_file) if settings.store == "sqlite" else RedisStore(settings.store)
