"""Logs that a shop may really bring: each either trains or is refused by a named error with the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.days import instant_of
from features.errors import LogTooShortError, TrainingError
from features.settings import Settings
from features.sources.mapping import load_text
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from tests.features.log_cases import imported
from tests.training.small_log import DAY, MAPPING, START, small_choices
from training.source import open_source
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.job import TagJob

WORDS = {"name": "x", "name_zh": "x", "meaning": "x"}


def taxonomy(*tags: dict[str, Any], categories: tuple[str, ...] = ()) -> Taxonomy:
    verticals = [{"id": c, "name": c, "name_zh": c, "categories": [c]} for c in categories]
    content = [{"id": f"t{number}", "horizon_days": 2, **WORDS, **tag} for number, tag in enumerate(tags)]
    return taxonomy_of({"name": "odd", "vertical": verticals, "tag": content})


def home_of(folder: Path, lines: list[str], kinds: str = 'buy = "purchase"', **more: Any) -> Settings:
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=1, **more)
    (folder / "log.csv").write_text("kind,t,user,category,item,amount,quantity\n" + "\n".join(lines) + "\n")
    mapping = MAPPING.partition("[kinds]")[0] + "[kinds]\n" + kinds
    imported(settings, folder / "log.csv", load_text(mapping, "odd.toml"))
    return settings


def habits(kind: str, days: int) -> list[str]:
    rng = np.random.default_rng(3)
    acts = rng.random((200, days)) < rng.beta(0.5, 2.0, (200, 1))
    return [
        f"{kind},{START + day * DAY + 3600 * int(rng.integers(24))},u{person},tea,i,100,1"
        for person, day in np.argwhere(acts)
    ]


def trained(settings: Settings, tags: Taxonomy, day: int) -> np.ndarray:
    job = TagJob(settings, tags, START + day * DAY, small_choices(), Steps())
    bundle = load_bundle(job.train())
    evaluation = job.evaluate(settings.bundles_dir / bundle.version, job.as_of, job.as_of + job.horizon * DAY)
    assert np.isfinite(evaluation.macro["zhongcao"].log_loss)
    return bundle.model.predict(np.asarray(job.builder.build(job.as_of).rows))


def test_nine_days_one_category_and_the_scope_of_everything_alone(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 9))
    tags = taxonomy({"rule": "count(purchase) >= 1"})
    assert tags.scopes.names == ("all",)
    assert np.isfinite(trained(settings, tags, 7)).all()


@pytest.mark.parametrize(("kind", "meant"), [("back", "refund"), ("look", "item_view")])
def test_nobody_ever_bought(tmp_path: Path, kind: str, meant: str) -> None:
    settings = home_of(tmp_path, habits(kind, 12), f'{kind} = "{meant}"')
    tags = taxonomy({"rule": f"count({meant}) >= 1", "within": "tea"}, categories=("tea",))
    assert np.isfinite(trained(settings, tags, 10)).all()


def test_horizons_may_differ_and_days_be_those_of_shanghai(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 16), timezone="Asia/Shanghai")
    tags = taxonomy({"rule": "count(purchase) >= 1"}, {"rule": "count(purchase) >= 2", "horizon_days": 4})
    assert np.isfinite(trained(settings, tags, 12)).all()


def test_training_instants_keep_to_midnight_where_the_clock_is_changed(tmp_path: Path) -> None:
    zone = "Europe/Berlin"
    settings = home_of(
        tmp_path, [f"buy,{START + day * DAY},u0,tea,i,100,1" for day in range(70, 100)], timezone=zone
    )
    tags = taxonomy({"rule": "count(purchase) >= 1"})
    plan = TagJob(settings, tags, instant_of("2024-04-04", zone), small_choices(), Steps()).plan
    # 31 March was an hour short: a window of two days from its start was not over as of 2 April.
    assert plan.train == tuple(instant_of(f"2024-{day}", zone) for day in ("03-29", "03-30", "04-01", "04-02"))
    assert plan.choose[-1] == instant_of("2024-03-30", zone)


def test_all_tags_too_rare(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 12))
    with pytest.raises(TrainingError, match=r"no tag has 20 positives .*: 0; use a longer log"):
        TagJob(
            settings, taxonomy({"rule": "count(refund) >= 1"}), START + 10 * DAY, small_choices(), Steps()
        ).train()


def test_a_tag_that_holds_for_everybody_tells_nothing(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 12))
    job = TagJob(settings, taxonomy({"rule": "count(refund) < 1"}), START + 10 * DAY, small_choices(), Steps())
    with pytest.raises(TrainingError, match=r"no tag tells people apart .*; train as of another date"):
        job.train()


def test_one_person_alone(tmp_path: Path) -> None:
    settings = home_of(tmp_path, [f"buy,{START + day * DAY + 60},u0,tea,i,100,1" for day in range(0, 60, 3)])
    job = TagJob(settings, taxonomy({"rule": "count(purchase) >= 1"}), START + 50 * DAY, small_choices(), Steps())
    with pytest.raises(TrainingError, match="no tag has 20 positives"):
        job.train()


def test_windows_that_the_log_does_not_reach_are_refused(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 12))
    tags = taxonomy({"rule": "count(purchase) >= 1"})
    with pytest.raises(LogTooShortError, match=r"ends on 2024-01-12; give --as-of 2024-01-12 or an earlier day"):
        TagJob(settings, tags, START + 900 * DAY, small_choices(), Steps())
    job = TagJob(settings, tags, START + 11 * DAY, small_choices(), Steps())
    with pytest.raises(LogTooShortError, match="2 days is not over: the log ends on 2024-01-12"):
        job.evaluate(tmp_path, START + 15 * DAY, START + 17 * DAY)
    with pytest.raises(LogTooShortError, match="not over"):
        job.evaluate(tmp_path, job.as_of, job.as_of + 2 * DAY - 1)
    with pytest.raises(TrainingError, match="what it was trained on"):
        job.evaluate(tmp_path, job.as_of - 1, job.as_of + 2 * DAY)


def test_nothing_had_arrived_yet(tmp_path: Path) -> None:
    settings = home_of(tmp_path, habits("buy", 12))
    with pytest.raises(LogTooShortError, match=r"had happened and arrived by .*--backfill"):
        TagJob(settings, taxonomy({"rule": "count(purchase) >= 1"}), START - DAY, small_choices(), Steps())


def test_the_data_version_names_the_content(tmp_path: Path) -> None:
    mapping = MAPPING.replace('kind = "kind"\n', 'kind = "kind"\nevent_id = "item"\n')
    first, second = f"buy,{START},u0,tea,id-0,100,1", f"buy,{START + 5},u1,tea,id-1,100,1"
    key = bytes(range(32))
    versions = []
    for rows in ((first, second), (second, first), (first.replace("100", "200"), second)):
        folder = tmp_path / str(len(versions))
        settings = Settings(home=folder, threads=1)
        folder.mkdir(mode=0o700)
        settings.key_file.touch(mode=0o600)
        settings.key_file.write_bytes(key)
        (folder / "log.csv").write_text("kind,t,user,category,item,amount,quantity\n" + "\n".join(rows) + "\n")
        imported(settings, folder / "log.csv", load_text(mapping, "small.toml"))
        versions.append(open_source(settings).data_version)
    assert versions[0] == versions[1] != versions[2]
