"""Logs of every shape go the whole way: import by mapping, drafted tags, training, evaluation on a later window."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from features.log.event_log import EventLog
from features.proposals.taxonomy import propose
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from tests.logs.shop_log import ShopLog, shop_home
from tests.training.small_log import small_choices
from training.splits import last_mature
from training.steps import Steps
from training.tags.bundle import load_bundle
from training.tags.evaluation import Evaluation
from training.tags.job import TagJob

SMALL = {"people": 250, "categories": 10}
SHAPES = {
    "nine-days": ShopLog(people=900, categories=5, days=9),
    "six-weeks": ShopLog(**SMALL, late_category=True),
    "two-years": ShopLog(people=60, categories=6, days=730),
    "rich": ShopLog(**SMALL, days=45, amounts=True, interest=True, platforms=2),
    "baskets": ShopLog(**SMALL, days=60, time="baskets"),
}


@dataclass(frozen=True)
class Journey:
    """What came of a log."""

    draft: str
    taxonomy: Taxonomy
    job: TagJob
    evaluation: Evaluation


@pytest.fixture(scope="module", params=SHAPES)
def journey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Journey]:
    settings = shop_home(tmp_path_factory.mktemp(request.param) / "home", SHAPES[request.param])
    log = EventLog.open(settings)
    con = log.connect()
    end = log.span(con)[1] + 1
    draft = propose(log.events(con), end, identities=log.table(con, "identities"), size=8)
    con.close()
    taxonomy = taxonomy_of(tomllib.loads(draft))
    at = last_mature(end, taxonomy.horizon_days)
    job = TagJob(settings, taxonomy, at, replace(small_choices(), most_instants=2), Steps())
    evaluation = job.evaluate(job.train(), at, end)
    return request.param, Journey(draft, taxonomy, job, evaluation)


def test_a_log_of_any_shape_goes_the_whole_way(journey: tuple[str, Journey]) -> None:
    name, made = journey
    horizons = {"nine-days": 1, "six-weeks": 7, "two-years": 30, "rich": 7, "baskets": 28}
    assert made.taxonomy.horizon_days == horizons[name]
    assert f"so tags look {made.taxonomy.horizon_days} day" in made.draft
    assert 1 <= len(made.taxonomy.tags) <= 8
    ours = made.evaluation.macro["zhongcao"]
    assert np.isfinite(ours.log_loss)
    # Tastes are there to be learned, on any log.
    assert ours.macro_auc > 0.55


def test_choices_are_said_and_kept_in_the_bundle(journey: tuple[str, Journey]) -> None:
    _, made = journey
    about = load_bundle(made.job.train()).about
    assert about["chosen"] == list(made.job.chosen)
    assert "training instants lie" in about["chosen"][0]


def test_drafts_name_only_what_the_log_holds(journey: tuple[str, Journey]) -> None:
    name, made = journey
    patterns = {tag.pattern for tag in made.taxonomy.tags}
    if name != "rich":
        assert "amount" not in " ".join(str(tag.rule) for tag in made.taxonomy.tags)
        assert patterns.isdisjoint({"premium", "interested", "won-over", "deal-seeking", "promotion-responsive"})
    assert all(tag.name.startswith("Category 1") for tag in made.taxonomy.tags)


def test_accounts_of_two_platforms_are_one_person(tmp_path: Path) -> None:
    settings = shop_home(tmp_path / "home", ShopLog(people=30, categories=5, days=20, platforms=2))
    log = EventLog.open(settings)
    con = log.connect()
    (accounts,) = log.events(con).aggregate("count(distinct account)").fetchall()[0]
    people = log.table(con, "identities").aggregate("count(distinct person)").fetchall()[0][0]
    con.close()
    assert people == 30 < accounts <= 60
