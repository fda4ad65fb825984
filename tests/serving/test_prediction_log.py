from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import PredictionLogError, RightsError
from features.settings import Settings
from serving.messages.metrics import Metrics
from serving.predictions import log as prediction_log
from serving.predictions.files import PredictionFiles
from serving.predictions.ids import day_made, is_sampled, made_at, new_id
from serving.predictions.log import PredictionLog, read
from tests.serving.predictions import ANN, BOB, ROW, SCORES, made, of
from tests.source_tree import ROOT

DAY = 86_400
NOON = 1_700_000_000 // DAY * DAY + DAY // 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.fixture
def log(folder: Path) -> PredictionLog:
    """Everything is kept, and nothing is written before it is asked for."""
    return log_of(folder)


def log_of(folder: Path, share: float = 1.0, **more: object) -> PredictionLog:
    given: dict[str, object] = {"share": share, "days": 30, "reserve_bytes": 0, **more}
    return PredictionLog(folder, **given)  # type: ignore[arg-type]


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_was_put_in_is_read_back(folder: Path) -> None:
    log = log_of(folder, manifest=lambda model: f"hash of {model}", code="c1", features=True)
    name = log.keep(of(ANN))
    log.flush()
    found = PredictionFiles(folder).get(name)
    assert found is not None
    assert (found.id, found.person, found.as_of, found.watermark) == (name, ANN, 1_700_000_000, 1_700_000_100)
    assert found.origin.model == "tags-1"
    assert (found.origin.manifest, found.origin.code, found.origin.share) == ("hash of tags-1", "c1", 1.0)
    assert (found.origin.schema, found.origin.source) == ("layout-1", "v3-10-ab")
    assert found.asked == {"top": 20, "min_probability": 0.0}
    assert found.answer == [{"id": "dairy.will-buy", "probability": 0.25, "assigned": True}]
    assert found.features is not None
    assert found.features.tobytes() == ROW.tobytes()
    assert (found.shape, found.made_at) == ((4,), made_at(name))
    assert found.features_hash == hashlib.sha256(ROW.tobytes()).hexdigest()
    assert found.scores_hash == hashlib.sha256(SCORES.tobytes()).hexdigest()


def test_features_stay_out_unless_they_are_asked_for(log: PredictionLog, folder: Path) -> None:
    name = log.keep(of(ANN))
    log.flush()
    found = PredictionFiles(folder).get(name)
    assert found is not None
    assert found.features is None
    assert len(found.features_hash) == 64


def test_a_prediction_of_nobody_known_is_of_nobody(log: PredictionLog, folder: Path) -> None:
    name = log.keep(of(None))
    log.flush()
    found = PredictionFiles(folder).get(name)
    assert found is not None
    assert found.person is None


@given(st.integers(0, 4_000_000_000))
def test_ids_tell_their_time(now: int) -> None:
    name = new_id(float(now))
    assert made_at(name) == now
    assert new_id(now + 1.0) > name


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_a_larger_sample_holds_the_smaller_one(shares: list[float]) -> None:
    small, large = sorted(shares)
    names = [new_id() for _ in range(20)]
    assert {n for n in names if is_sampled(n, small)} <= {n for n in names if is_sampled(n, large)}
    assert [n for n in names if is_sampled(n, 1.0)] == names
    assert not [n for n in names if is_sampled(n, 0.0)]


def test_the_sample_follows_from_the_ids(folder: Path) -> None:
    log = log_of(folder, share=0.25)
    names = [log.keep(of(ANN)) for _ in range(400)]
    log.flush()
    files = PredictionFiles(folder)
    kept = {name for name in names if files.get(name) is not None}
    assert kept == {name for name in names if is_sampled(name, 0.25)}
    assert 50 < len(kept) < 150


def test_nothing_is_written_where_nothing_is_kept(folder: Path) -> None:
    with log_of(folder, share=0.0) as log:
        assert made_at(log.keep(of(ANN))) > 1_700_000_000
    assert not folder.exists()


def test_what_waits_is_written_when_the_log_ends(folder: Path) -> None:
    with log_of(folder) as log:
        names = [log.keep(of(ANN)) for _ in range(3)]
    assert all(PredictionFiles(folder).get(name) for name in names)
    assert log.counts() == prediction_log.LogCounts(written=3, dropped=0, waiting=0, on=True)


def test_a_full_queue_drops_and_counts(folder: Path) -> None:
    log = log_of(folder, queue_bytes=2 * made(new_id()).size)
    names = [log.keep(of(ANN)) for _ in range(5)]
    assert len(set(names)) == 5
    assert log.counts().dropped == 3
    log.flush()
    log.keep(of(ANN))
    log.flush()
    assert log.counts() == prediction_log.LogCounts(written=3, dropped=3, waiting=0, on=True)


def test_many_threads_put_at_once(log: PredictionLog, folder: Path) -> None:
    def put() -> None:
        for _ in range(100):
            log.keep(of(ANN))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    log.flush()
    for thread in threads:
        thread.join()
    log.flush()
    assert [day.tags for day in PredictionFiles(folder).days()] == [400]


def test_a_disk_without_room_turns_it_off(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(folder, reserve_bytes=1 << 62)
    for _ in range(3):
        log.keep(of(ANN))
        log.flush()
    assert log.counts() == prediction_log.LogCounts(written=0, dropped=3, waiting=0, on=False)
    assert len(caplog.records) == 1
    assert "not kept until the disk takes them again" in caplog.text
    assert ANN not in caplog.text
    monkeypatch.setattr(log, "_reserve", 0)
    monkeypatch.setattr(log, "_off_until", 0.0)
    log.keep(of(ANN))
    log.flush()
    assert log.counts() == prediction_log.LogCounts(written=1, dropped=3, waiting=0, on=True)
    assert "kept again" in caplog.text


def test_a_folder_that_cannot_be_written_turns_it_off(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.write_text("no folder")
    log = log_of(folder)
    log.keep(of(ANN))
    log.flush()
    assert not log.counts().on
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("seed", [1, 2])
def test_erasure_leaves_no_bytes(folder: Path, seed: int) -> None:
    # Sizes and orders that make SQLite move rows between pages: its own overwriting leaves copies of some behind.
    rng = random.Random(seed)
    log = log_of(folder, features=True)
    people = [f"{rng.getrandbits(128):032x}" for _ in range(300)]
    for _ in range(4):
        for _ in range(300):
            log.keep(of(rng.choice(people), np.frombuffer(rng.randbytes(4 * rng.randrange(10, 400)), np.float32)))
        log.flush()
    rng.shuffle(people)
    erased = sum(log.erase(people[start : start + 20]) for start in range(0, 240, 20))
    left = content(folder)
    assert not [person for person in people[:240] if person.encode() in left]
    assert len([person for person in people[240:] if person.encode() in left]) > 50
    assert sum(day.tags for day in PredictionFiles(folder).days()) == 1200 - erased


def test_who_was_erased_is_not_written_by_requests_in_work(log: PredictionLog, folder: Path) -> None:
    names = [log.keep(of(person)) for person in (ANN, BOB)]
    assert log.erase([ANN]) == 1
    names.append(log.keep(of(ANN)))
    log.flush()
    files = PredictionFiles(folder)
    assert [files.get(name) is not None for name in names] == [False, True, False]
    assert ANN.encode() not in content(folder)
    assert log.erase([ANN]) == 0


def test_who_refused_is_not_written(folder: Path) -> None:
    log = log_of(folder, refused=lambda: {ANN})
    names = [log.keep(of(person)) for person in (ANN, BOB)]
    log.flush()
    assert [PredictionFiles(folder).get(name) is not None for name in names] == [False, True]
    assert log.counts().dropped == 0


def test_who_is_erased_while_a_prediction_is_written_is_left_out_or_deleted(folder: Path) -> None:
    files = PredictionFiles(folder)
    erasing: list[threading.Thread] = []

    def refused() -> frozenset[str]:
        # The word comes first, then the erasure, which waits for the writing.
        erasing.append(threading.Thread(target=files.erase, args=([ANN],)))
        erasing[0].start()
        return frozenset()

    log = log_of(folder)
    assert files.add([made(new_id())], log._origin, refused=refused) == 1
    erasing[0].join()
    assert [day.tags for day in files.days()] == [0]
    assert ANN.encode() not in content(folder)
    assert files.add([made(new_id())], log._origin, refused=lambda: {ANN}) == 0
    assert ANN.encode() not in content(folder)


def test_nobody_is_written_while_refusals_are_unknown(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def unknown() -> frozenset[str]:
        raise RightsError("what people asked for cannot be read")

    log = log_of(folder, refused=unknown)
    log.keep(of(ANN))
    log.flush()
    assert log.counts() == prediction_log.LogCounts(written=0, dropped=1, waiting=0, on=False)
    assert "cannot be read" in caplog.text
    assert ANN.encode() not in content(folder)


def test_metrics_show_the_counts(log: PredictionLog) -> None:
    metrics = Metrics([])
    log.show(metrics)
    log.keep(of(ANN))
    log.flush()
    said = metrics.text()
    assert 'zhongcao_predictions_sampled{fate="written"} 1\n' in said
    assert 'zhongcao_predictions_sampled{fate="dropped"} 0\n' in said
    assert "zhongcao_prediction_log_on 1\n" in said


def test_erasure_says_when_a_reader_keeps_the_bytes(
    log: PredictionLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.online.sqlite_file._WRITER_WAITS_SECONDS", 0.05)
    log.keep(of(ANN))
    log.flush()
    [path] = folder.glob("*.sqlite")
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT COUNT(*) FROM predictions").fetchall() == [(1,)]
    with pytest.raises(PredictionLogError, match=r"being read and cannot be rewritten.*erase again"):
        PredictionFiles(folder).erase([ANN])
    reader.close()
    assert PredictionFiles(folder).erase([ANN]) == 0
    assert ANN.encode() not in content(folder)


def test_old_days_go_as_files(folder: Path) -> None:
    files = PredictionFiles(folder)
    today = date(2023, 11, 14)
    names = [new_id(float(NOON - back * DAY)) for back in (31, 30, 1, 0)]
    log = log_of(folder)
    files.add([made(name) for name in names], log._origin)
    assert [day.day for day in files.days()] == [today - timedelta(days=back) for back in (31, 30, 1, 0)]
    log.prune(today)
    assert [files.get(name) is not None for name in names] == [False, True, True, True]
    log.prune(today + timedelta(days=1))
    assert [files.get(name) is not None for name in names] == [False, False, True, True]
    assert files.prune(today, 1) == 0


def test_reading_says_why_there_is_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, predictions_share=0.5, predictions_days=3)
    with pytest.raises(PredictionLogError, match=r"no prediction's id: 'p1'.*zhongcao predictions list"):
        read(settings, "p1")
    with pytest.raises(PredictionLogError, match="kept no longer"):
        read(settings, new_id(float(NOON)))
    new = new_id()
    with pytest.raises(PredictionLogError, match=r"not in the sample of predictions_share = 0\.5"):
        read(settings, f"{new[:-8]}ffffffff")
    with pytest.raises(PredictionLogError, match="erased, refused or lost"):
        read(settings, f"{new[:-8]}00000000")


def test_files_are_their_owners(log: PredictionLog, folder: Path) -> None:
    log.keep(of(ANN))
    log.flush()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


WRITES_FOR_EVER = """
import sys, time
from pathlib import Path
from serving.predictions.log import PredictionLog
from tests.serving.predictions import ANN, of

log = PredictionLog(Path(sys.argv[1]), share=1.0, days=30, reserve_bytes=0)
while True:
    names = [log.keep(of(ANN)) for _ in range(50)]
    log.flush()
    print("\\n".join(names), flush=True)
"""


def test_what_was_written_outlives_a_kill(folder: Path) -> None:
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(220)]
        os.kill(process.pid, signal.SIGKILL)
        said += [line.strip() for line in process.stdout]
    files = PredictionFiles(folder)
    written = [name for name in said if len(name) == 36]
    assert len(written) >= 220
    assert all(files.get(name) is not None for name in written)
    assert day_made(written[0]) in {day.day for day in files.days()}
