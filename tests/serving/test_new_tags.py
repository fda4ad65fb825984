"""Tags that are added to a real champion: by rule, by list, served beside all others, and taken away."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.errors import BundleError, StoreError, TaxonomyError, TrainingError
from features.people.identity import account_key, load_key
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from serving.cli.main import build_app
from serving.messages.schemas import AccountRef
from serving.online.added_columns import open_store
from serving.online.backfill import backfill
from serving.online.sqlite_store import SqliteStore
from serving.predictions.files import PredictionFiles
from serving.predictions.log import PredictionLog, _manifest_hash
from serving.reproduction.reproduce import Code, Reproducer
from serving.scoring.scorer import Scorer
from serving.tags.new_tags import Change, add_from_rules, add_from_seeds, remove
from serving.tags.seed_list import seeds_folder
from tests.training.small_log import DAY, START, small_choices, small_home, small_taxonomy
from training.bundles.champion import champion_path, promote
from training.code import code_version
from training.quality.metrics import tag_metrics
from training.steps import Steps
from training.tags.bundle import Bundle, load_bundle, score_golden_rows
from training.tags.job import TagJob

AS_OF = START + 130 * DAY
PRESENT = START + 149 * DAY
FRAGMENT = """
[[vertical]]
id = "leafy"
name = "Leafy"
name_zh = "叶"
categories = ["tea", "lamps"]
patterns = []

[[tag]]
id = "leafy.will-buy"
name = "Leafy: will buy"
name_zh = "叶:将购买"
meaning = "Buys within 15 days."
within = "leafy"
rule = "count(purchase) >= 1"

[[tag]]
id = "tea.week"
name = "Tea: this week"
name_zh = "茶:本周"
meaning = "Buys tea within 7 days."
within = "tea"
horizon_days = 7
rule = "count(purchase) >= 1"
"""
CLUB = {"id": "club", "name": "Club", "name_zh": "会", "meaning": "Like the club."}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = small_home(tmp_path_factory.mktemp("new-tags"))
    job = TagJob(settings, small_taxonomy(), AS_OF, small_choices(), Steps())
    promote(settings, job.train())
    backfill(settings, load_bundle(champion_path(settings)), PRESENT, Steps())
    return settings


@pytest.fixture
def home(trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The trained home, to which tags may be added: what a run makes is its own.

    Bundles are checked in this process, which is faster; the home of the other fixtures does as the product does.
    """
    monkeypatch.setattr("serving.tags.new_tags.checker", lambda: nullcontext(score_golden_rows))
    settings = trained.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(trained.home, settings.home)
    (tmp_path / "more.toml").write_text(FRAGMENT, encoding="utf-8")
    return settings


@dataclass(frozen=True)
class Before:
    """A home with tags from rules, and what it was before."""

    settings: Settings
    change: Change
    bundle: Bundle
    answers: list[dict[str, float]]
    fragment: Path
    file: Path


@pytest.fixture(scope="module")
def added(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Before:
    folder = tmp_path_factory.mktemp("added")
    settings = trained.model_copy(update={"home": folder / "home"})
    shutil.copytree(trained.home, settings.home)
    (folder / "more.toml").write_text(FRAGMENT, encoding="utf-8")
    (folder / "small.toml").write_text(whole_file().removesuffix(FRAGMENT), encoding="utf-8")
    (folder / "small.toml").chmod(0o640)
    bundle, before = champion(settings), answers(settings)
    change = add_from_rules(settings, folder / "more.toml", Steps(), into=folder / "small.toml")
    return Before(settings, change, bundle, before, folder / "more.toml", folder / "small.toml")


def champion(settings: Settings) -> Bundle:
    return load_bundle(champion_path(settings))


def listed(path: Path, numbers: range, *more: str) -> Path:
    path.write_text("\n".join(["platform,account", *(f"shop,u{n}" for n in numbers), *more]) + "\n")
    return path


def answers(settings: Settings, count: int = 150) -> list[dict[str, float]]:
    bundle = champion(settings)
    scorer = Scorer(bundle, open_store(settings, bundle.layout), load_key(settings))
    people = [AccountRef(platform="shop", account=f"u{n}") for n in range(count)]
    found = scorer.tags(people, top=99)
    return [{tag.id: tag.probability for tag in one.tags} for one in found]


def test_tags_from_rules_are_served_at_once_and_change_no_other(added: Before) -> None:
    home, old, new = added.settings, added.bundle, champion(added.settings)
    assert (added.change.parent, added.change.bundle) == (old.version, new.version)
    for one, other in zip(added.answers, answers(home), strict=True):
        assert one == {tag: p for tag, p in other.items() if tag in one}
        assert set(other) - set(one) == {"leafy.will-buy", "tea.week"}
    # Every bit, not just six digits.
    people = [account_key(load_key(home), "shop", f"u{n}") for n in range(20)]
    stores = (SqliteStore(home.store_file), open_store(home, new.layout))
    old_rows, new_rows = (np.stack([row.vector for row in store.get(people) if row]) for store in stores)
    assert new.model.predict(new_rows)[:, :13].tobytes() == old.model.predict(old_rows).tobytes()
    np.testing.assert_array_equal(new_rows[:, : old_rows.shape[1]], old_rows)


def test_rows_statics_and_quality_are_those_of_the_enlarged_taxonomy(added: Before, tmp_path: Path) -> None:
    leafy, week = added.change.quality
    assert (leafy.tag, week.tag) == ("leafy.will-buy", "tea.week")
    assert min(leafy.auc, week.auc) > 0.7
    assert leafy.learned_from > 100
    # Once more from the log alone: the window of a retraining that knows the tags from the start.
    job = TagJob(added.settings, load_taxonomy(added.file), AS_OF, small_choices(), Steps())
    window = job.builder.build(AS_OF, job.builder.source.last + 1)
    bundle = champion(added.settings)
    columns = [job.builder.layout.columns.index(name) for name in bundle.layout.columns]
    number = [tag.id for tag in job.taxonomy.tags].index("tea.week")
    probabilities = bundle.model.predict(np.asarray(window.rows[:, columns]))[:, -1]
    expected = tag_metrics(window.outcomes[:, number], probabilities)
    assert (week.people, week.positives) == (expected.people, expected.positives)
    # Not the same: each half of the people was measured with the share that the other half chose.
    assert week.auc == pytest.approx(expected.auc, abs=0.03)
    np.testing.assert_array_equal(bundle.model.fitted.statics[-1], window.fitted.statics[number])
    present = job.builder.build(PRESENT)
    store = open_store(added.settings, bundle.layout)
    stored = [row.vector for row in store.get(list(present.persons)) if row]
    np.testing.assert_array_equal(np.stack(stored), np.asarray(present.rows)[:, columns])


def test_predictions_from_before_and_after_come_out_of_the_log_again(added: Before, tmp_path: Path) -> None:
    settings = added.settings.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(added.settings.home, settings.home)
    people = [AccountRef(platform="shop", account=f"u{n}") for n in range(9)]
    log = PredictionLog(
        settings.predictions_dir, share=1.0, days=30, features=False, code=code_version(), reserve_bytes=0,
        manifest=lambda model: _manifest_hash(settings.bundles_dir / model),
    )  # fmt: skip
    ids = []
    for bundle in (added.bundle, champion(settings)):
        scorer = Scorer(bundle, open_store(settings, bundle.layout), load_key(settings))
        ids += [one.prediction_id for one in scorer.tags(people, top=99, log=log) if one.prediction_id]
    log.flush()
    found = list(Reproducer(settings).again(ids))
    assert len(ids) == 2 * len(people)
    assert {(one.code, one.features, one.scores, one.answer) for one in found} == {(Code.SAME, True, True, True)}
    files = PredictionFiles(settings.predictions_dir)
    assert {files.get(one).origin.model for one in ids} == {added.bundle.version, champion(settings).version}  # type: ignore[union-attr]


def test_the_same_tags_again_change_nothing(added: Before) -> None:
    bundles = sorted(path.name for path in added.settings.bundles_dir.iterdir())
    again = add_from_rules(added.settings, added.fragment, Steps())
    assert again.bundle == again.parent == added.change.bundle
    assert sorted(path.name for path in added.settings.bundles_dir.iterdir()) == bundles


def test_the_next_retraining_knows_the_tags(added: Before) -> None:
    assert load_taxonomy(added.file).tag("tea.week") == champion(added.settings).taxonomy.tag("tea.week")
    assert S_IMODE(added.file.stat().st_mode) == 0o640


def whole_file() -> str:
    base = small_taxonomy()
    lines = ['name = "small"', "horizon_days = 15"]
    for vertical in base.verticals:
        lines += [
            "[[vertical]]",
            f'id = "{vertical.id}"',
            f'name = "{vertical.name}"',
            f'name_zh = "{vertical.name_zh}"',
        ]
        lines += [f'categories = ["{vertical.categories[0]}"]']
    for tag in base.tags:
        lines += ["[[tag]]", f'id = "{tag.id}"', f'name = "{tag.name}"', f'name_zh = "{tag.name_zh}"']
        lines += [f'meaning = "{tag.meaning}"', f'within = "{tag.scope}"', f'rule = "{tag.rule}"']
    return "\n".join(lines) + "\n" + FRAGMENT


def test_home_and_list_fix_every_byte(added: Before, home: Settings, tmp_path: Path) -> None:
    one_thread = home.model_copy(update={"threads": 1})
    job = TagJob(home, small_taxonomy(), AS_OF, small_choices(), Steps())
    # A window that is gone is computed anew.
    shutil.rmtree(home.work_dir / "windows" / job.builder.source.data_version / job.builder.rows_key(AS_OF))
    assert add_from_rules(one_thread, tmp_path / "more.toml", Steps()).bundle == added.change.bundle
    other = home.model_copy(update={"home": tmp_path / "other"})
    shutil.copytree(home.home, other.home)
    people = listed(tmp_path / "club.csv", range(110))
    versions = {add_from_seeds(one, people, CLUB, Steps(), now=PRESENT).bundle for one in (one_thread, other)}
    assert len(versions) == 1


def test_a_tag_from_a_list(home: Settings, tmp_path: Path) -> None:
    before = answers(home)
    people = listed(tmp_path / "club.csv", range(110), "shop,nobody", ",u1", "shop,u3")
    change = add_from_seeds(home, people, CLUB, Steps(), now=PRESENT)
    assert change.seeds is not None
    assert sorted(change.seeds.reasons.values()) == [1, 1, 1]
    assert change.left_out is not None
    assert len(change.left_out.read_text().splitlines()) == 4
    (quality,) = change.quality
    assert (quality.head_share, quality.pooled_auc, quality.learned_from) == (1.0, None, len(change.seeds.persons))
    after = answers(home)
    for one, other in zip(before, after, strict=True):
        assert one == {tag: p for tag, p in other.items() if tag != "club"}
    mean = np.mean([one["club"] for one in after if one])
    assert mean == pytest.approx(quality.base_rate, abs=0.1)
    assert add_from_seeds(home, people, CLUB, Steps(), now=PRESENT).bundle == change.bundle
    text = "".join(path.read_text(encoding="utf-8") for path in champion_path(home).glob("*.json"))
    assert not any(person in text for person in change.seeds.persons)
    assert champion(home).taxonomy.tag("club").seeds is not None
    with pytest.raises(TaxonomyError, match="there is a tag with that id: 'club'"):
        add_from_seeds(home, listed(tmp_path / "other.csv", range(105)), CLUB, Steps(), now=PRESENT)


def test_tags_are_taken_away_again(added: Before, tmp_path: Path) -> None:
    home = added.settings.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(added.settings.home, home.home)
    add_from_seeds(home, listed(tmp_path / "club.csv", range(110)), CLUB, Steps(), now=PRESENT)
    whole = answers(home)
    remove(home, "tea.week", Steps())
    assert answers(home) == [{tag: p for tag, p in one.items() if tag != "tea.week"} for one in whole]
    remove(home, "club", Steps())
    assert list(seeds_folder(home).iterdir()) == []
    remove(home, "leafy.will-buy", Steps())
    assert answers(home) == added.answers
    assert champion(home).layout == added.bundle.layout
    assert champion(home).taxonomy == added.bundle.taxonomy
    assert champion(home).about["changes"][0]["parent"] == added.bundle.version


def test_refusals_change_nothing(home: Settings, tmp_path: Path) -> None:
    version = champion(home).version
    never = FRAGMENT.replace("count(purchase) >= 1", "count(purchase) >= 500")
    (tmp_path / "never.toml").write_text(never)
    with pytest.raises(TrainingError, match="came true too rarely: 0 times in the training windows; valid: 20 or"):
        add_from_rules(home, tmp_path / "never.toml", Steps())
    with pytest.raises(TrainingError, match="too few seeds: 9 people"):
        add_from_seeds(home, listed(tmp_path / "few.csv", range(9)), CLUB, Steps(), now=PRESENT)
    with pytest.raises(TaxonomyError, match="cannot be taken out alone"):
        remove(home, "tea.heavy", Steps())
    assert champion(home).version == version
    assert not (home.home / "added").exists()
    assert not seeds_folder(home).exists()


def test_nothing_is_learned_of_who_withdrew_since(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def withdrawn_since(settings: Settings, as_of: int, now: int) -> list[str]:
        asked.append((as_of, now))
        return [account_key(load_key(settings), "shop", f"u{n}") for n in range(109)]

    monkeypatch.setattr("serving.tags.new_tags.withdrawn_since", withdrawn_since)
    with pytest.raises(TrainingError, match=r"too few seeds: [01] people"):
        add_from_seeds(home, listed(tmp_path / "club.csv", range(110)), CLUB, Steps(), now=PRESENT + DAY)
    assert asked == [(PRESENT, PRESENT + DAY)]


def test_a_store_of_another_layout_is_refused(home: Settings, tmp_path: Path) -> None:
    store = SqliteStore(home.store_file)
    store.replace("another", PRESENT, ["p"], np.zeros((1, 3), np.float32))
    store.close()
    with pytest.raises(StoreError, match="do not follow the layout of the champion: 'another'"):
        add_from_rules(home, tmp_path / "more.toml", Steps())


def test_a_bundle_that_does_not_say_how_it_was_trained(home: Settings, tmp_path: Path) -> None:
    shutil.rmtree(home.bundles_dir)
    with pytest.raises(BundleError, match="names no bundle"):
        add_from_rules(home, tmp_path / "more.toml", Steps())
    home.champion_file.unlink()
    with pytest.raises(BundleError, match="there is no champion yet; run `zhongcao retrain`"):
        add_from_rules(home, tmp_path / "more.toml", Steps())


def test_the_commands(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))
    monkeypatch.setenv("ZHONGCAO_CONFIG", "/dev/null")
    monkeypatch.setenv("ZHONGCAO_THREADS", "2")
    run = CliRunner()

    def said(*words: str) -> str:
        done = run.invoke(build_app(), ["tags", *words], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    assert "13 tags, 0 of them added" in said("list")
    people = listed(tmp_path / "club.csv", range(110), "shop,nobody")
    output = said("add", "--seeds", str(people), "--id", "club", "--name", "Tea club")
    assert "people of the list are known; 1 unknown: no row in the online store" in output
    assert "club.unmatched.csv" in output
    assert "nothing to add" in said("add", "--seeds", str(people), "--id", "club", "--name", "Tea club")
    listing = said("list")
    assert "14 tags, 1 of them added" in listing
    assert "seeds" in listing
    scored = run.invoke(build_app(), ["score", "--people", "all", "--out", str(tmp_path / "scores")])
    assert scored.exit_code == 0
    assert "club" in pq.read_table(tmp_path / "scores").column("tag").unique().to_pylist()
    assert "club is gone" in said("remove", "club")
    for words in ((), ("x.toml", "--seeds", "y.csv")):
        with pytest.raises(TaxonomyError, match="either from a file of rules or from a list"):
            said("add", *words)
    with pytest.raises(TaxonomyError, match="needs --id and --name"):
        said("add", "--seeds", str(people))
