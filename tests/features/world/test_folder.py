"""A world on disk: the same bytes after a cut, another world refused, and an import that never sees the truth."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.errors import SettingsError, SourceError
from features.events import EVENTS
from features.sources.mapping import load_mapping
from features.taxonomy.taxonomy import load_taxonomy
from features.world.folder import description, settings_of
from features.world.importing import import_world
from features.world.policy import BroadPolicy, InterestPolicy
from features.world.settings import WorldSettings
from features.world.world import World, run
from features.world.writer import write_world
from tests.features.log_cases import rows, settings_in

SETTINGS = WorldSettings(people=250, days=5, campaigns=3, seed=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("worlds") / "one"
    write_world(SETTINGS, BroadPolicy(), made, people_a_part=100)
    return made


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_parts_are_the_whole_world(folder: Path) -> None:
    whole = World(SETTINGS)
    days = [day.events.to_pandas() for day in run(whole, BroadPolicy())]
    own = ["event_id", "order", "prediction_id", "arrived_at"]
    by = ["event_time", "kind", "account", "item", "note"]
    for day, expected in enumerate(days):
        files = sorted((folder / "events").glob(f"day-{day:04d}-*"))
        found = pq.read_table(files).to_pandas()
        assert len(files) == 3
        assert found.event_id.is_unique
        left, right = (table.drop(columns=own).sort_values(by, ignore_index=True) for table in (found, expected))
        assert left.equals(right.astype(left.dtypes))
    for name, table in whole.truth().items():
        kept = folder / "truth" / (f"{name}.parquet" if name != "people" else "people")
        found = pq.read_table(kept).to_pandas()
        assert found.equals(table.to_pandas().astype(found.dtypes))
    for name, table in whole.tables().items():
        path = folder / name if (folder / name).is_dir() else folder / f"{name}.parquet"
        key = table.column_names[0]
        left, right = (t.to_pandas().sort_values(key, ignore_index=True) for t in (pq.read_table(path), table))
        assert left.equals(right)


def test_a_run_that_was_cut_off_ends_in_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    class Cut(Exception):  # noqa: N818
        pass

    steps = iter(range(8))

    def advance() -> None:
        if next(steps, None) is None:
            raise Cut

    again = tmp_path / "again"
    with pytest.raises(Cut):
        write_world(SETTINGS, BroadPolicy(), again, advance, people_a_part=100)
    with pytest.raises(SourceError, match="was not finished"):
        description(again)
    written = write_world(SETTINGS, BroadPolicy(), again, people_a_part=100)
    assert written.kept == 9
    assert contents(again) == contents(folder)
    assert write_world(SETTINGS, BroadPolicy(), again, people_a_part=100).kept == 15
    assert contents(again) == contents(folder)


def test_a_folder_holds_one_world(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds another world"):
        write_world(SETTINGS, InterestPolicy(), folder, people_a_part=100)
    with pytest.raises(SourceError, match="not empty"):
        write_world(SETTINGS, BroadPolicy(), folder / "truth")
    with pytest.raises(SourceError, match="no world there"):
        description(tmp_path)
    with pytest.raises(SettingsError, match="too many people and days for one world: 250"):
        write_world(WorldSettings(people=250, days=300), BroadPolicy(), tmp_path, people_a_part=1)
    assert settings_of(description(folder)) == SETTINGS


def test_import_is_the_same_whatever_the_truth_holds(tmp_path: Path) -> None:
    logs, folder = [], tmp_path / "small"
    write_world(WorldSettings(people=60, days=2, campaigns=2), BroadPolicy(), folder)
    for name in ("told", "garbled"):
        settings, copy = settings_in(tmp_path / name), tmp_path / name / "world"
        shutil.copytree(folder, copy)
        settings.home.mkdir()
        settings.key_file.write_bytes(b"k" * 32)
        settings.key_file.chmod(0o600)
        if name == "garbled":
            for file in (path for path in (copy / "truth").rglob("*") if path.is_file()):
                file.write_bytes(b"no truth here")
        summaries = import_world(settings, copy)
        assert [summary.quarantined for summary in summaries] == [0] * 9
        assert sum(summary.unknown_items + summary.unknown_notes for summary in summaries) == 0
        columns = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
        logs.append((rows(settings, columns), *(rows(settings, table=summary.table) for summary in summaries)))
    assert logs[0] == logs[1]
    assert len(logs[0][0]) == description(folder)["events"]


def test_mappings_and_taxonomy_are_valid(folder: Path) -> None:
    for file in (folder / "mappings").glob("*.toml"):
        assert load_mapping(file).table == file.stem
    assert len(load_taxonomy(folder / "taxonomy.toml").tags) == 40
