"""Settings of all tests: a slow or busy machine fails none of them, and nothing is left in the machine's /tmp."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("zhongcao", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Under CI hypothesis loads a profile of its own, without deadlines and with the same examples every time.
if not os.environ.get("CI"):
    settings.load_profile("zhongcao")

MIGRATED = "mlflow-migrated.db"


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep temporary files, those of killed servers too, in a folder that pytest clears away."""
    folder = tmp_path_factory.mktemp("t", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def migrated_once(temporary_files: Path) -> None:
    """Let all registries after a worker's first begin with a copy of its database: migrating takes 1.5 s."""
    module = sys.modules.get("training.registry")
    if module is None or hasattr(module.Registry.__init__, "__wrapped__"):
        return
    made = module.Registry.__init__
    template = temporary_files / MIGRATED

    def with_copy(self: Any, folder: Path, *model: str) -> None:
        database = folder.resolve() / "mlflow.db"
        new = not database.exists()
        if new and template.exists():
            database.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(template, database)
        made(self, folder, *model)
        if new and not template.exists():
            shutil.copyfile(database, template)

    with_copy.__wrapped__ = made  # type: ignore[attr-defined]
    module.Registry.__init__ = with_copy
