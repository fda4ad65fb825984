from __future__ import annotations

from pathlib import Path

import pytest

from features.durable import publish, write_durably


def test_a_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    write_durably(path, "one")
    write_durably(path, "二")
    assert path.read_text(encoding="utf-8") == "二"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    write_durably(path, "one")
    with pytest.raises(UnicodeEncodeError):
        write_durably(path, "a broken \udcff character")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_gets_its_name_with_everything_in_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a").write_bytes(b"1")
    publish(work, tmp_path / "done")
    assert (tmp_path / "done" / "a").read_bytes() == b"1"
    assert not work.exists()
