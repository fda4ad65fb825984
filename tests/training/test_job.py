from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import training.tags.heads
import training.tags.job
from features.errors import BundleError, LogTooShortError, TrainingError
from features.log.event_log import EventLog
from features.settings import Settings
from tests.training.small_log import DAY, START, small_choices, small_home, small_taxonomy
from training.bundles.champion import champion_path, promote, verify_bundle
from training.bundles.manifest import MANIFEST, canonical_json, write_manifest
from training.registry import Registry
from training.source import present_of
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.job import TagJob

AS_OF = START + 130 * DAY
TAXONOMY = small_taxonomy()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_home(tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def bundle(home: Settings) -> Path:
    return TagJob(home, TAXONOMY, AS_OF, small_choices(), Steps()).train()


def test_the_model_learns_and_beats_its_baselines(home: Settings, bundle: Path) -> None:
    job = TagJob(home, TAXONOMY, AS_OF, small_choices(), Steps())
    evaluation = job.evaluate(bundle, AS_OF, job.builder.source.last + 1)
    ours, count = evaluation.macro["zhongcao"], evaluation.macro["history_count"]
    assert ours.macro_auc > 0.75
    assert ours.log_loss < count.log_loss
    too_rare = load_bundle(bundle).about["training"]["too_rare"]
    assert sorted([*evaluation.per_tag, *too_rare]) == sorted(tag.id for tag in TAXONOMY.tags)
    assert evaluation.people == len(job.builder.build(AS_OF).persons) > 100
    again = job.evaluate(bundle, AS_OF, job.builder.source.last + 1)
    assert again.macro == evaluation.macro


def test_a_tag_too_rare_to_learn_is_reported_and_not_scored(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert "never" in loaded.about["training"]["too_rare"]
    rows = np.load(bundle / "golden_rows.npy", allow_pickle=False)
    affinities = loaded.model.fitted.affinities.apply(loaded.layout, rows)
    assert np.isfinite(affinities[:, : len(TAXONOMY.verticals), :3]).all()
    scores = loaded.model.predict(rows)
    learned = np.array([tag.id not in loaded.about["training"]["too_rare"] for tag in TAXONOMY.tags])
    assert np.isnan(scores[:, ~learned]).all()
    assert ((scores[:, learned] > 0) & (scores[:, learned] < 1)).all()


def test_seed_data_and_code_fix_every_byte(home: Settings, bundle: Path, tmp_path: Path) -> None:
    elsewhere = home.model_copy(update={"home": tmp_path, "threads": 1})
    for name in ("key", "log"):
        (tmp_path / name).symlink_to((home.home / name).resolve())
    again = TagJob(elsewhere, TAXONOMY, AS_OF, small_choices(), Steps()).train()
    assert again.name == bundle.name
    for path in sorted(bundle.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    other = TagJob(elsewhere, TAXONOMY, AS_OF, small_choices(seed=8), Steps()).train()
    assert other.name != bundle.name


def test_a_rerun_reuses_what_is_done(home: Settings, bundle: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in bundle.iterdir()}
    job = TagJob(home, TAXONOMY, AS_OF, small_choices(), Steps())
    assert job.train() == bundle
    assert {path: path.stat().st_mtime_ns for path in bundle.iterdir()} == before


def test_the_present_has_no_outcomes_and_training_stops_before_it(home: Settings, bundle: Path) -> None:
    job = TagJob(home, TAXONOMY, AS_OF, small_choices(), Steps())
    window = job.builder.build(AS_OF, None)
    assert window.labels is None
    with pytest.raises(TrainingError, match="without outcomes"):
        _ = window.outcomes
    assert job.plan.train[-1] + 15 * DAY <= AS_OF
    assert load_bundle(bundle).as_of == AS_OF


def test_now_is_the_end_of_a_log_that_ended_long_ago(home: Settings) -> None:
    log = EventLog.open(home)
    con = log.connect()
    end = log.span(con)[1] + 1
    assert present_of(log, "now") == end
    assert present_of(log, "2024-05-01") == START + 121 * DAY


def test_too_short_a_log_is_refused(home: Settings) -> None:
    with pytest.raises(LogTooShortError, match="need 45"):
        TagJob(home, TAXONOMY, START + 40 * DAY, small_choices(), Steps())


def test_bundle_is_promoted_after_it_was_verified(home: Settings, bundle: Path) -> None:
    with pytest.raises(BundleError, match="no champion yet"):
        champion_path(home)
    promote(home, bundle)
    assert champion_path(home) == home.bundles_dir / bundle.name


def test_a_bundle_of_elsewhere_is_not_promoted(home: Settings, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"only a bundle of this home .*; copy it into"):
        promote(home, copied(bundle, tmp_path))


def test_a_bundle_that_was_damaged_on_disk_is_trained_again(home: Settings, bundle: Path, tmp_path: Path) -> None:
    elsewhere = home.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(home.home, elsewhere.home)
    damaged = elsewhere.bundles_dir / bundle.name
    (damaged / "pooled.txt").write_bytes(b"")
    again = TagJob(elsewhere, TAXONOMY, AS_OF, small_choices(), Steps()).train()
    assert again == damaged
    assert (again / "pooled.txt").read_bytes() == (bundle / "pooled.txt").read_bytes()
    assert not [path for path in elsewhere.bundles_dir.iterdir() if path != again]


def test_a_run_that_was_cut_off_goes_on_with_the_heads_it_had_finished(
    home: Settings, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = home.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(home.home, elsewhere.home)
    shutil.rmtree(elsewhere.bundles_dir)
    job = TagJob(elsewhere, TAXONOMY, AS_OF, small_choices(), Steps())
    (job.folder / "trained.json").unlink()

    class CutOffError(Exception):
        pass

    def cut_off(*_: object, **__: object) -> None:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(training.tags.job, "write_bundle", cut_off)
        with pytest.raises(CutOffError):
            job.train()
    assert (job.folder / "unfinished").exists()
    with monkeypatch.context() as patched:
        patched.setattr(training.tags.heads, "fit_head", cut_off)
        resumed = TagJob(elsewhere, TAXONOMY, AS_OF, small_choices(), Steps()).train()
    assert {p.name: p.read_bytes() for p in resumed.iterdir()} == {p.name: p.read_bytes() for p in bundle.iterdir()}
    assert not (job.folder / "unfinished").exists()


def copied(bundle: Path, folder: Path) -> Path:
    copy = folder / "copy"
    copy.mkdir()
    for path in bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.mark.parametrize("name", ["pooled.txt", "heads.json", "taxonomy.json", "statics.npy", "decision.json"])
def test_a_changed_file_is_refused_by_name(bundle: Path, tmp_path: Path, name: str) -> None:
    copy = copied(bundle, tmp_path)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=f"corrupt.*{name}"):
        load_bundle(copy)


def test_missing_unlisted_and_foreign_are_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    copy = copied(bundle, tmp_path)
    (copy / "extra.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BundleError, match=r"unlisted files.*extra\.pkl"):
        load_bundle(copy)
    (copy / "extra.pkl").unlink()
    (copy / "heads.json").rename(tmp_path / "heads.json")
    with pytest.raises(BundleError, match=r"missing.*heads\.json"):
        load_bundle(copy)
    (tmp_path / "heads.json").rename(copy / "heads.json")
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(canonical_json(manifest | {"format": "someone.else"}))
    with pytest.raises(BundleError, match=r"foreign bundle: 'someone\.else 1'; valid: zhongcao\.tags 1"):
        load_bundle(copy)
    (copy / MANIFEST).write_text("[]")
    with pytest.raises(BundleError, match=r"no bundle.*manifest\.json"):
        load_bundle(copy)


def test_a_model_that_was_hashed_again_after_damage_is_stopped_by_the_child(bundle: Path, tmp_path: Path) -> None:
    copy = copied(bundle, tmp_path)
    text = (copy / "pooled.txt").read_text()
    (copy / "pooled.txt").write_text(text.replace("leaf_value=", "leaf_value=9", 3))
    (copy / MANIFEST).unlink()
    write_manifest(copy)
    with pytest.raises(BundleError, match="refused"):
        verify_bundle(copy)


def test_registry_keeps_run_metrics_bundle_and_alias(home: Settings, bundle: Path) -> None:
    registry = Registry(home.mlruns)
    done = registry.log_run(
        name="run", params={"a": 1}, metrics={"auc": 0.5, "none": float("nan")}, tags={"t": "x"}, bundle=bundle
    )
    registry.set_alias("champion", done.model_version)
    assert registry.by_alias("champion") == done
    assert registry.metrics(done.run_id) == {"auc": 0.5}
    assert registry.has(done)
    logged = list(home.mlruns.rglob("pooled.txt"))
    assert [path.read_bytes() for path in logged] == [(bundle / "pooled.txt").read_bytes()]
    assert not list(home.mlruns.rglob("*.pkl"))


def test_after_the_folder_was_moved_runs_are_logged_at_the_new_place(bundle: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "mlruns", tmp_path / "new"
    facts = {"name": "run", "params": {}, "metrics": {"auc": 0.5}, "tags": {}, "bundle": bundle}
    first = Registry(old).log_run(**facts)
    new.mkdir()
    moved = old.rename(new / "mlruns")
    registry = Registry(moved)
    assert registry.has(first)
    runs = [registry.log_run(**facts) for _ in range(2)]
    assert not old.exists()
    for run in runs:
        assert (moved / "artifacts" / run.run_id / "artifacts" / "bundle" / "pooled.txt").exists()


def test_no_person_goes_to_the_registry_or_the_bundle(home: Settings, bundle: Path) -> None:
    job = TagJob(home, TAXONOMY, AS_OF, small_choices(), Steps())
    people = list(job.builder.build(AS_OF, None).persons)
    assert len(people) > 100
    for path in [*bundle.iterdir(), *(p for p in home.mlruns.rglob("*") if p.is_file())]:
        content = path.read_bytes()
        assert not any(person.encode() in content for person in people), path.name
