"""Challengers score what champions answer, beside them: agreement, what came true, and never a slower answer."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from features.errors import BundleError, StoreError
from features.log.event_log import EventLog
from features.people.identity import account_key, load_key
from features.settings import Settings
from serving.champions.served import Served
from serving.cli.main import build_app
from serving.histories.sqlite_store import SqliteHistories
from serving.predictions.ids import made_at, new_id
from serving.shadow.agreement import Agreement
from serving.shadow.kept_scores import KeptScores, Scored
from serving.shadow.matured import matured_conversions, matured_tags
from serving.shadow.pointer import Pointed, pointed_shadow, shadow_folder, start_shadow, stop_shadow
from serving.shadow.reading import comparable_tags, why_not_comparable
from serving.shadow.report import figures_of, seen_so_far
from serving.shadow.shadow import Shadow
from tests.serving.asked_homes import asked_home
from tests.serving.bundle_variants import another, change_json, variant
from tests.serving.conversion_homes import DAY, START, bring_in, copied
from tests.serving.live_homes import event
from training.bundles.champion import champion_path
from training.bundles.manifest import CONVERSION, TAGS
from training.tags.bundle import load_bundle

WHO = [f"u{number}" for number in (0, 7, 9, 12)]
TEA = "tea.will-buy"


def unchecked(*_: object) -> None:
    """Pass a bundle that was just made, without the child process that others go through."""


@pytest.fixture(scope="module")
def home(small_champions: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("shadow")
    return copied(small_champions, folder).model_copy(update={"predictions_share": 1.0})


@pytest.fixture(scope="module")
def higher(home: Settings) -> Path:
    """A challenger of tags whose scores are a little higher."""
    return another(champion_path(home), 40)


@pytest.fixture(scope="module")
def alike(home: Settings) -> Path:
    """A challenger of conversions that says the same."""
    return variant(champion_path(home, CONVERSION), lambda f: change_json(f / "about.json", more=1), CONVERSION)


@pytest.fixture(scope="module")
def seen(home: Settings, higher: Path, alike: Path) -> dict[str, dict[str, Any]]:
    """What both challengers saw of some requests, of two servers."""
    now = int(time.time())
    start_shadow(home, higher, TAGS, Pointed(higher.name, now, 1.0), unchecked)
    start_shadow(home, alike, CONVERSION, Pointed(alike.name, now, 1.0), unchecked)
    for server in range(2):
        made: list[Shadow] = []

        def beside(log: Any, champions: Any, made: list[Shadow] = made) -> Shadow:
            served: dict[str, Served[Any]] = {"tags": champions.tags, "conversions": champions.conversions}
            made.append(Shadow(home, log, served, verify=unchecked))
            made[0].look()
            return made[0]

        with asked_home(home, beside=beside) as asked:
            asked.tags(WHO)
            asked.conversions(WHO[server])
            while made[0].score():
                pass
            made[0].write()
    found = {}
    for kind in (TAGS, CONVERSION):
        pointed = pointed_shadow(home, kind)
        assert pointed is not None
        found[kind.name] = seen_so_far(home, kind, pointed)
    return found


def kept_of(home: Settings, challenger: Path, kind: Any) -> list[Scored]:
    pointed = pointed_shadow(home, kind)
    assert pointed is not None
    assert pointed.bundle == challenger.name
    return list(KeptScores(shadow_folder(home, kind, pointed)).read())


def test_tags_agree_as_far_as_their_scores_do(home: Settings, higher: Path, seen: dict[str, Any]) -> None:
    said, kept = seen["tags"], kept_of(home, higher, TAGS)
    assert (said["scored"], said["dropped"], said["unread"], len(kept)) == (8, 0, 0, 8)
    champion, challenger = (load_bundle(folder) for folder in (champion_path(home), higher))
    rows = {row["name"]: row for row in said["agreement"]}
    assert set(rows) == {
        tag.id for tag, on in zip(champion.taxonomy.tags, champion.model.active, strict=True) if on
    }
    theirs, ours = (np.concatenate([getattr(one, side) for one in kept]) for side in ("theirs", "ours"))
    for place, name in enumerate(kept[0].names):
        row = rows[name]
        assert row["count"] == 8
        assert row["mean_difference"] == pytest.approx(float((ours - theirs)[:, place].mean()), abs=1e-6)
        assert row["mean_difference"] > 0
        expected = np.corrcoef(theirs[:, place], ours[:, place])[0, 1]
        assert row["correlation"] == pytest.approx(expected, abs=1e-3)
    at = challenger.model.assign_at[comparable_tags(champion, challenger).ours]
    assert (rows[kept[0].names[0]]["jaccard"] is None) == (not (ours[:, 0] >= at[0]).any())


def test_conversions_that_say_the_same_agree_in_all(home: Settings, alike: Path, seen: dict[str, Any]) -> None:
    said, kept = seen["conversion"], kept_of(home, alike, CONVERSION)
    assert (said["scored"], len(kept)) == (2, 2)
    assert [row["name"] for row in said["agreement"]] == ["click", "ctcvr"]
    for row in said["agreement"]:
        assert (row["count"], row["jaccard"]) == (6, 1.0)
        assert abs(row["mean_difference"]) < 1e-8  # answers have nine digits
    assert kept[0].rows == ("n1", "n2", "never seen")
    figures = figures_of(said)
    assert (figures["scored"], figures["jaccard"]) == (2.0, 1.0)


def person_keys(home: Settings, numbers: list[int]) -> list[str]:
    store = SqliteHistories(home.histories_file)
    found = store.resolve([account_key(load_key(home), "red", f"u{number}") for number in numbers])
    store.close()
    return found


def test_what_came_true_is_counted_once_the_window_is_over(home: Settings, higher: Path, tmp_path: Path) -> None:
    changed, as_of = copied(home, tmp_path), START + 9 * DAY
    horizon = next(tag.horizon_days for tag in load_bundle(higher).taxonomy.tags if tag.id == TEA) * DAY
    numbers = [n for n in range(10, 40) if n % 7]
    bought = [(numbers[0], 1), (numbers[3], horizon - 1), (numbers[5], -1), (numbers[6], horizon)]
    rows = [event(800_000 + n, f"u{who}", as_of + after, category="tea") for n, (who, after) in enumerate(bought)]
    bring_in(changed, "events", [row | {"arrived_at": row["event_time"]} for row in rows], tmp_path)
    half = np.full((1, 1), 0.5, np.float32)
    kept = [
        Scored(new_id(), one, as_of, as_of, "tags-1", (TEA,), ("",), half, half / 2)
        for one in person_keys(home, numbers)
    ]
    late = [Scored(new_id(), kept[0].person, as_of + 1, as_of, "tags-1", (TEA,), ("",), half, half)]
    [row] = matured_tags(changed, higher.name, [*kept, *late], as_of + horizon)
    key, log = load_key(home), EventLog.open(changed)
    con = log.connect()
    buyers = log.events(con).filter(
        f"kind = 'purchase' and category = 'tea' and event_time between {as_of} and {as_of + horizon - 1}"
    )
    accounts = {account for (account,) in buyers.project("account").fetchall()}
    con.close()
    came_true = [n for n in numbers if accounts & {account_key(key, where, f"u{n}") for where in ("red", "shop")}]
    assert {numbers[0], numbers[3]} < set(came_true) < set(numbers)
    assert (row["name"], row["outcomes"], row["came_true"]) == (TEA, len(numbers), len(came_true))
    assert (row["champion"]["said"], row["challenger"]["said"]) == (0.5, 0.25)
    share = len(came_true) / len(numbers)
    assert row["champion"]["log_loss"] == pytest.approx(np.log(2))
    assert row["challenger"]["log_loss"] == pytest.approx(-share * np.log(0.25) - (1 - share) * np.log(0.75))
    [few] = matured_tags(changed, higher.name, kept[:1], as_of + horizon)
    assert (few["outcomes"], few["champion"]["log_loss"]) == (1, None)
    assert matured_tags(changed, higher.name, late, as_of + horizon) == []


def test_of_conversions_impressions_say_which_prediction_they_came_of(
    home: Settings, alike: Path, seen: dict[str, Any], tmp_path: Path
) -> None:
    assert seen["conversion"]["matured"] == []
    changed = copied(home, tmp_path)
    first, second = kept_of(home, alike, CONVERSION)
    now = made_at(second.id)
    shown = {"platform": "red", "note": "n1", "arrived_at": now + 1}
    rows = [
        event(800001, "u0", now, "impression", prediction_id=first.id) | shown,
        event(800002, "u7", now, "impression", prediction_id=second.id) | shown,
        event(800003, "u9", now, "impression", prediction_id=new_id()) | shown,
        event(800004, "u0", now + 1, "click") | shown,
    ]
    bring_in(changed, "events", rows, tmp_path, now=now + 2)
    found = {row["name"]: row for row in matured_conversions(changed, alike.name, [first, second], now + 3 * DAY)}
    assert (found["click"]["outcomes"], found["click"]["came_true"]) == (2, 1)
    assert (found["ctcvr"]["outcomes"], found["ctcvr"]["came_true"]) == (2, 0)
    said = np.mean([one.theirs[0, 0] for one in (first, second)])
    assert found["click"]["champion"]["said"] == pytest.approx(said)
    assert matured_conversions(changed, alike.name, [first, second], now + 10) == []


def test_a_challenger_that_cannot_read_the_rows_says_why(home: Settings, higher: Path, alike: Path) -> None:
    def narrower(folder: Path) -> None:
        about = json.loads((folder / "about.json").read_text())
        features = json.loads(about["features"]) | {"platforms": ["red", "blue"]}
        change_json(folder / "about.json", features=json.dumps(features))

    champion = champion_path(home, CONVERSION)
    other = variant(champion, narrower, CONVERSION)
    assert "number other platforms" in why_not_comparable(champion, other, CONVERSION)
    assert why_not_comparable(champion, alike, CONVERSION) == ""
    bundle = load_bundle(higher)
    assert comparable_tags(bundle, bundle).columns.tolist() == list(range(bundle.layout.width))
    assert why_not_comparable(champion_path(home), higher, TAGS) == ""
    shorter = SimpleNamespace(layout=replace(bundle.layout, person_features=bundle.layout.person_features[1:]))
    with pytest.raises(StoreError, match="lack columns that the challenger reads"):
        comparable_tags(shorter, bundle)  # type: ignore[arg-type]
    other_rule = replace(bundle.taxonomy.tags[0], horizon_days=99)
    meant = replace(bundle.taxonomy, tags=(other_rule, *bundle.taxonomy.tags[1:]))
    with pytest.raises(StoreError, match="mean something else"):
        comparable_tags(bundle, SimpleNamespace(layout=bundle.layout, taxonomy=meant))  # type: ignore[arg-type]


def test_scores_of_who_refuses_are_not_kept_and_those_of_who_is_erased_go(tmp_path: Path) -> None:
    one = np.ones((1, 1), np.float32)
    some = [Scored(new_id(), person, 1, 1, "tags-1", (TEA,), ("",), one, one) for person in ("ann", "bob", None)]
    kept = KeptScores(tmp_path)
    kept.add(some, lambda: {"bob"}, 2)
    assert [row.person for row in kept.read()] == ["ann"]
    kept.add(some, frozenset, 3)
    assert len(list(kept.read())) == 2
    assert kept.erase(["ann", "zoe"]) == 1
    assert "ann" not in [row.person for row in kept.read()]
    assert b"ann" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert list(KeptScores(tmp_path / "nowhere").read()) == []


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=30), st.integers(0, 30))
def test_sums_of_servers_are_the_sums_of_all(pairs: list[list[float]], cut: int) -> None:
    scores = np.array(pairs).reshape(-1, 2)

    def over(some: np.ndarray) -> Agreement:
        made = Agreement.empty(["a"])
        made.add(some[:, :1], some[:, 1:], some[:, :1] > 0.5, some[:, 1:] > 0.5)
        return Agreement.from_dict(json.loads(json.dumps(made.as_dict())))

    both, every = over(scores[:cut]).plus(over(scores[cut:])), over(scores)
    assert np.allclose(both.sums, every.sums)
    [row] = every.figures()
    assert row["count"] == len(pairs)
    if pairs:
        assert row["mean_difference"] == pytest.approx(float((scores[:, 1] - scores[:, 0]).mean()), abs=1e-9)
    assert every.plus(Agreement.empty(["b"])).names == ("a", "b")


def test_the_verbs_start_tell_and_stop(
    home: Settings, higher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = copied(home, tmp_path)
    monkeypatch.setenv("ZHONGCAO_HOME", str(changed.home))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(changed.mlruns))
    monkeypatch.setattr("serving.cli.shadow.load_settings", lambda: changed)
    monkeypatch.setattr(start_shadow, "__defaults__", (unchecked,))
    stop_shadow(changed, CONVERSION)

    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(), ["shadow", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    with pytest.raises(BundleError, match="this bundle is the champion"):
        run("start", champion_path(changed).name)
    assert "scores 0.5 of what tags-" in run("start", higher.name, "--share", "0.5")
    pointed = pointed_shadow(changed, TAGS)
    assert pointed is not None
    assert (pointed.bundle, pointed.share) == (higher.name, 0.5)
    [said] = json.loads(run("status", "--json"))
    assert (said["bundle"], said["scored"], said["agreement"]) == (higher.name, 0, [])
    assert f"{higher.name} runs beside the champion of tags" in run("status")
    logged: list[Any] = []

    class Run:
        run_id = "r1"

    class Registry:
        def log_shadow(self, *said: Any) -> None:
            logged.append(said)

    monkeypatch.setattr("serving.jobs.promotion.registered", lambda *_: (Registry(), Run()))
    assert "logged to MLflow run r1" in run("stop", "tags")
    [(run_id, name, document, figures)] = logged
    assert (run_id, name, document["bundle"]) == ("r1", f"{higher.name}-{pointed.since}", higher.name)
    assert figures["scored"] == 0.0
    assert pointed_shadow(changed, TAGS) is None
    assert "no challenger of tags runs" in run("stop", "tags")
    assert "no challenger runs" in run("status")
