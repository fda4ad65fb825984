"""The home that `bench.serving` serves from: a simulated world, tags over its categories, conversions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from features.world.catalogue import CATEGORIES

PEOPLE: Final = 3_000
DAYS: Final = 60
START: Final = "2024-04-01"
AS_OF: Final = "2024-05-30"
PATTERNS: Final = {
    "buy": "count(purchase) >= 1",
    "cart": "count(cart) >= 1",
    "open": "count(click) >= 1",
    "reader": "count(click) >= 3",
    "saver": "count(save) >= 1",
    "liker": "count(like) >= 1",
    "jumper": "count(link_click) >= 1",
    "visitor": "count(store_visit) >= 1",
}


def made_home(folder: Path) -> Path:
    """Make the home in a folder, or return the one that is there; takes some minutes the first time."""
    home = folder / "home"
    if (folder / "finished").exists():
        return home
    folder.mkdir(parents=True, exist_ok=True)
    taxonomy = folder / "tags.toml"
    taxonomy.write_text(taxonomy_text(), encoding="utf-8")
    world = folder / "world"
    for verb in (
        f"world make --out {world} --people {PEOPLE} --days {DAYS} --start {START}",
        f"import world {world}",
        f"retrain --taxonomy {taxonomy} --as-of {AS_OF} --most-instants 3",
        f"train conversion --as-of {AS_OF} --most 120000 --tags none",
        f"fill --as-of {AS_OF}",
    ):
        subprocess.run(
            [sys.executable, "-m", "serving.cli.main", *verb.split()],
            check=True,
            env={**os.environ, **environment(home), "ZHONGCAO_THREADS": "2"},
        )
    (folder / "finished").touch()
    return home


def environment(home: Path) -> dict[str, str]:
    """Return the variables under which a command works in the home."""
    return {
        "ZHONGCAO_HOME": str(home),
        "ZHONGCAO_MLRUNS": str(home.parent / "mlruns"),
        "ZHONGCAO_CONFIG": os.devnull,
    }


def taxonomy_text() -> str:
    """Return a taxonomy with a vertical per category of the world and eight tags in each."""
    lines = ['name = "bench"', "version = 1", "horizon_days = 14"]
    for category in CATEGORIES:
        lines += ["[[vertical]]", f'id = "{category.name}"', f'name = "{category.name}"', 'name_zh = "品类"']
        lines += [f"categories = {json.dumps([category.name])}"]
    for name, rule in PATTERNS.items():
        lines += [
            "[[pattern]]",
            f'id = "{name}"',
            f'name = "{{vertical}}: {name}"',
            f'name_zh = "{{vertical}}:{name}"',
        ]
        lines += ['meaning = "{vertical}, within {horizon} days."', f'rule = "{rule}"']
    return "\n".join(lines)
