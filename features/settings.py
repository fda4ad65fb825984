"""Settings, read once at the edge: a TOML file, then the environment.

Every value can be set in ``zhongcao.toml`` (or the file that ``ZHONGCAO_CONFIG`` names) and overridden by an
environment variable of the same name in capitals with the prefix ``ZHONGCAO_``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from features.errors import SettingsError

_PREFIX: Final = "ZHONGCAO_"
_CONFIG: Final = "ZHONGCAO_CONFIG"


class Settings(BaseSettings):
    """All settings of one installation; see ``docs/operations.md`` for the table."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    home: Path = Field(Path("var"), description="Folder of everything a run makes outside mlruns/.")
    mlruns: Path = Field(Path("mlruns"), description="Folder of the MLflow tracking store and artifacts.")
    timezone: str = Field(
        "UTC", description="IANA time zone whose days the log counts in; fixed by the first import."
    )
    currency: str = Field("CNY", pattern="^[A-Z]{3}$", description="ISO 4217 code of amounts that name none.")
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Worker threads.")
    dask: str = Field(
        "off", description="Address of a Dask scheduler whose workers train the heads; off for threads of our own."
    )
    memory: str = Field("4GB", pattern=r"^\d+(MB|GB)$", description="Memory that DuckDB may use before it spills.")
    train_people: int = Field(
        20_000, ge=1_000, description="About how many people tags are learned from and judged by, of a larger log."
    )
    store: str = Field(
        "sqlite",
        repr=False,
        description="The online store: sqlite for a file in the home, or the URL of a Redis that servers share.",
    )
    host: str = Field("127.0.0.1", description="Address that the prediction API binds to.")
    port: int = Field(3000, ge=1, le=65535, description="Port of the prediction API.")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of loopback on which metrics are read; 0 for none."
    )
    wait_ms: int = Field(
        100, ge=1, le=30_000, description="Milliseconds that a request may wait for its turn, unless it says."
    )
    drain_seconds: float = Field(
        1.0, ge=0, le=600, description="Seconds that requests are still answered after SIGTERM, as `/readyz` says."
    )
    move_seconds: int = Field(
        300, ge=1, le=86_400, description="Seconds between moves of live events from the inbox into the log."
    )
    versions_days: int = Field(
        60,
        ge=1,
        le=36_500,
        description="Days that the log can be read as it was before small parts were put together.",
    )
    predictions_share: float = Field(
        0.01, ge=0, le=1, description="Share of predictions that the prediction log keeps; 0 for none."
    )
    predictions_days: int = Field(30, ge=1, le=3650, description="Days that a kept prediction stays.")
    predictions_features: bool = Field(
        False, description="Whether the prediction log keeps features too, not their hash only."
    )
    least_people: int = Field(
        50, ge=1, description="People that a row of a contribution report must have reached to be told."
    )
    memberships_kept: int = Field(
        30, ge=2, le=10_000, description="Versions of the memberships that stay, to tell what changed since."
    )
    promote_if: Literal["better", "not_worse"] = Field(
        "better", description="What a challenger must be for promotion, beyond noise: better or not_worse."
    )
    promote_stale_days: int = Field(
        56, ge=1, le=3650, description="Days more that a challenger knows, from which on not worse is enough."
    )
    retrain_days: int = Field(
        28, ge=1, le=3650, description="Age of the champion in days that is a reason to retrain."
    )
    retrain_mature_days: int = Field(
        7, ge=1, le=3650, description="Days of outcomes that the champion does not know, a reason to retrain."
    )
    retrain_erasures: int = Field(
        1, ge=1, description="People erased since the champion was trained, a reason to retrain."
    )

    openrtb_ids: str = Field(
        "off", description="Which ids of OpenRTB requests are accounts: pairs such as user.buyeruid=PLATFORM."
    )
    openrtb_vendor: int = Field(
        0, ge=0, le=65_535, description="Your number in the IAB's Global Vendor List; 0 for none."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}, use an IANA name such as Asia/Shanghai") from error
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_settings_file())

    @property
    def key_file(self) -> Path:
        """The 0600 file that holds the key of the pseudonyms."""
        return self.home / "key"

    @property
    def log_dir(self) -> Path:
        """Folder of the Delta tables, one per canonical table."""
        return self.home / "log"

    @property
    def inbox_file(self) -> Path:
        """Live events on their way into the log, and the ids of all events that ever came."""
        return self.home / "inbox.sqlite"

    @property
    def quarantine_dir(self) -> Path:
        """Folder of rows that were refused, with their reasons."""
        return self.home / "quarantine"

    @property
    def work_dir(self) -> Path:
        """Folder of checkpoints and temporary files."""
        return self.home / "work"

    @property
    def bundles_dir(self) -> Path:
        """Folder of model bundles, one per version."""
        return self.home / "bundles"

    @property
    def champion_file(self) -> Path:
        """Pointer to the bundle of tag models that serves."""
        return self.home / "champion.json"

    @property
    def conversion_champion_file(self) -> Path:
        """Pointer to the bundle of conversion models that serves."""
        return self.home / "conversion_champion.json"

    @property
    def store_file(self) -> Path:
        """The embedded online store."""
        return self.home / "online.sqlite"

    @property
    def filled_file(self) -> Path:
        """Which versions of the log the stores hold."""
        return self.home / "filled.json"

    @property
    def histories_file(self) -> Path:
        """The embedded store of person histories, for conversion predictions."""
        return self.home / "histories.sqlite"

    @property
    def predictions_dir(self) -> Path:
        """Folder of the prediction log, a file a day."""
        return self.home / "predictions"

    @property
    def memberships_dir(self) -> Path:
        """Folder of the versions of the memberships."""
        return self.home / "memberships"

    @property
    def access_file(self) -> Path:
        """Hashed API keys."""
        return self.home / "access.json"

    @property
    def report_file(self) -> Path:
        """The report page of the last job."""
        return self.home / "report.html"


def load_settings(**overrides: object) -> Settings:
    """Read the settings once, at the edge of a process.

    Parameters
    ----------
    **overrides
        Values that win over file and environment.

    Raises
    ------
    SettingsError
        A value is unknown or out of range, with the field and what is wrong with it.

    Examples
    --------
    >>> load_settings(home="elsewhere").key_file.as_posix()
    'elsewhere/key'
    """
    _refuse_unknown_names()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"the settings file is not TOML: {error}", value=str(_settings_file()), next_step="mend that line"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SettingsError(
                "unknown setting", value=field, valid=_nearest(field, Settings.model_fields)
            ) from error
        raise SettingsError(
            f"setting {field}: {first['msg']}",
            # The URL of the store may hold a password.
            value="(not shown)" if field == "store" else first.get("input"),
            next_step=f"mend it in {_settings_file()} or in {_PREFIX}{field.upper()}",
        ) from error


def _settings_file() -> Path:
    return Path(os.environ.get(_CONFIG, "zhongcao.toml"))


def _refuse_unknown_names() -> None:
    known = {_CONFIG, *(f"{_PREFIX}{field.upper()}" for field in Settings.model_fields)}
    for name in os.environ:
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            raise SettingsError("unknown environment variable", value=name, valid=_nearest(name.upper(), known))
    if _CONFIG in os.environ and not _settings_file().exists():
        raise SettingsError(
            f"{_CONFIG} names a file that is not there", value=os.environ[_CONFIG], next_step=f"unset {_CONFIG}"
        )


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return all known names, those first that are most like the given one: an error shows only some."""
    return sorted(known, key=lambda other: (-SequenceMatcher(None, name, other).ratio(), other))
