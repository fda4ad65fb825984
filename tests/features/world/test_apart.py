"""Nothing that learns or serves can see the world's truth."""

from __future__ import annotations

import re
from pathlib import Path

from tests.source_tree import LAYERS, ROOT, imported, modules

ALLOWED = {Path("serving/cli/world.py"), Path("serving/pages/world_page.py")}


def of_world(path: Path) -> bool:
    return path.is_relative_to("features/world")


def test_the_world_is_imported_by_its_own_verbs_only() -> None:
    users = {
        path
        for path in modules(*LAYERS)
        if not of_world(path) and any(f"{name}.".startswith("features.world.") for name in imported(path))
    }
    assert users <= ALLOWED
    assert Path("serving/cli/world.py") in users


def test_only_the_world_knows_where_its_truth_lies() -> None:
    named = re.compile(r"[\"'/]truth\b")
    users = {path for path in modules(*LAYERS) if named.search((ROOT / path).read_text(encoding="utf-8"))}
    assert {path for path in users if not of_world(path)} <= ALLOWED
    assert Path("features/world/folder.py") in users
