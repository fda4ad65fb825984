"""The homes that `bench.retrain` retrains in: worlds of 90 days with 224 tags, made and imported once per size."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.serving_home import environment, taxonomy_text

START: Final = "2024-04-01"
DAYS: Final = 90
AS_OF: Final = "2024-06-30"
_LOG: Final = ("log", "key")


def made_home(folder: Path, people: int) -> Path:
    """Make the home of a size in a folder, or return the one that is there.

    A world or an import that was cut off goes on. `imported` marks what is finished.
    """
    place = folder / f"people-{people}"
    home, world, done = place / "home", place / "world", place / "imported"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        _zhongcao(home, f"world make --out {world} --people {people} --days {DAYS} --start {START}")
        started = time.perf_counter()
        _zhongcao(home, f"import world {world}")
        done.write_text(f"{time.perf_counter() - started:.0f} seconds\n", encoding="utf-8")
    return home


def fresh_run(folder: Path, people: int, name: str = "run") -> tuple[Path, Path]:
    """Return a home with that log and nothing else in it, and the file of its 224 tags; the log is linked."""
    place = folder / f"people-{people}"
    run = place / name
    shutil.rmtree(run, ignore_errors=True)
    (run / "home").mkdir(parents=True)
    for part in _LOG:
        kept = place / "home" / part
        if kept.is_dir():
            shutil.copytree(kept, run / "home" / part, copy_function=os.link)
        else:
            shutil.copy2(kept, run / "home" / part)
    tags = run / "tags.toml"
    tags.write_text(taxonomy_text(), encoding="utf-8")
    return run / "home", tags


def _zhongcao(home: Path, verb: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "serving.cli.main", *verb.split()],
        check=True,
        env={**os.environ, **environment(home), "ZHONGCAO_THREADS": "2"},
        stdout=sys.stderr,
    )
