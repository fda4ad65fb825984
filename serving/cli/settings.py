"""Settings of commands that score: what the compact scorer compiles is kept in the home."""

from __future__ import annotations

from features.settings import Settings, load_settings


def scoring_settings(**overrides: object) -> Settings:
    """Read the settings, and let this process keep and read compiled code in the home, where there is one.

    Parameters
    ----------
    **overrides
        Values that win over file and environment.

    Raises
    ------
    SettingsError
        A value is unknown or out of range, or the folder of compiled code is open to others.
    """
    from training.compact.cache import keep_compiled

    settings = load_settings(**overrides)
    if settings.home.is_dir():
        keep_compiled(settings.home / "compiled")
    return settings
