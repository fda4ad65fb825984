"""Scores of tags from training to an answer: trained earlier, copied into the conversion bundle, kept by a fill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
from rich.console import Console

from features.errors import BundleError, StoreError
from features.impressions.features import ImpressionFeatures
from features.people.identity import account_key, load_key
from features.rights.ledger import delete_tag
from features.rows.catalog import layout_for
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import ConversionsRequest
from serving.messages.schemas import AccountRef
from serving.scoring.conversions import ConversionScorer
from tests.serving.conversion_homes import (
    AS_OF,
    DAY,
    PEOPLE,
    REFUSED,
    START,
    batch_rows,
    copied,
    filled,
    note_rows,
    person_of,
)
from tests.serving.homes import tiny_model
from training.bundles.champion import champion_path, promote, verify_bundle
from training.bundles.manifest import CONVERSION, MANIFEST, bundle_version, canonical_json, write_manifest
from training.conversion.boosting import BoosterSettings
from training.conversion.bundle import load_conversion_bundle
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices, ConversionJob
from training.conversion.tag_choice import NEWEST
from training.conversion.tag_scorer import BundleScorer
from training.source import LogSource
from training.steps import Steps
from training.tags.bundle import load_bundle, write_bundle

NOTES = [f"n{i}" for i in range(12)]
SMALL = FitSettings(BoosterSettings(trees=8, leaves=4, min_data_in_leaf=20), min_positives=20)
CHOICES = ConversionChoices(fit=SMALL, window_days=3, warm_up_days=3, most_days=7, tags=NEWEST)
TRAINED = START + 13 * DAY


def taxonomy() -> Taxonomy:
    categories = ("tea", "milk", "soap")
    words = {"name": "{vertical}", "name_zh": "{vertical}", "meaning": "{vertical} within {horizon} days."}
    rules = {"will-click": "count(click) >= 1", "will-buy": "count(purchase) >= 1"}
    return taxonomy_of(
        {
            "name": "small", "horizon_days": 2,
            "vertical": [{"id": c, "name": c, "name_zh": c, "categories": [c]} for c in categories],
            "pattern": [{"id": name, "rule": rule, **words} for name, rule in rules.items()],
        }
    )  # fmt: skip


class Trained(NamedTuple):
    home: Settings
    tags: Path
    bundle: Path
    said: str


@pytest.fixture(scope="module")
def trained(conversion_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = copied(conversion_home, tmp_path_factory.mktemp("scores"))
    said = StringIO()
    layout = layout_for(taxonomy(), ("impression", "click", "purchase"))
    model, _ = tiny_model(layout, taxonomy(), [f"p{i}" for i in range(120)], (START, START + 9 * DAY))
    tags, _ = (write_bundle(model, {"for": "a test"}, at, home.bundles_dir) for at in (TRAINED, TRAINED + DAY))
    bundle = ConversionJob(home, AS_OF, CHOICES, Steps(Console(file=said, width=400))).train()
    promote(home, bundle, kind=CONVERSION)
    filled(home)
    return Trained(home, tags, bundle, said.getvalue())


@pytest.fixture
def scorer(trained: Trained) -> Iterator[ConversionScorer]:
    store = SqliteHistories(trained.home.histories_file)
    bundle = load_conversion_bundle(champion_path(trained.home, CONVERSION))
    yield ConversionScorer(bundle, store, load_key(trained.home))
    store.close()


def asked(person: str, time: int) -> ConversionsRequest:
    return ConversionsRequest.model_validate(
        {
            "person": {"person": person}, "candidates": NOTES,
            "context": {"platform": "red", "position": 2, "time": time},
        }
    )  # fmt: skip


def test_the_newest_tags_that_knew_nothing_are_chosen_and_copied(trained: Trained) -> None:
    # The other bundle is a day younger than the first impression to learn from.
    assert f"those of {trained.tags.name}, as of 2024-01-14, the newest bundle of this home" in trained.said
    made = load_conversion_bundle(trained.bundle)
    assert made.about["tags_bundle"] == made.about["choices"]["tags"] == made.tags_bundle == trained.tags.name
    assert made.model.features[-2:] == ("score_will-click", "score_will-buy")
    assert made.about["start"] == AS_OF - 7 * DAY
    inside = trained.bundle / "tags"
    assert {f.name: f.read_bytes() for f in inside.iterdir()} == {
        f.name: f.read_bytes() for f in trained.tags.iterdir()
    }
    files = json.loads((trained.bundle / MANIFEST).read_text())["files"]
    assert files[f"tags/{MANIFEST}"].startswith(trained.tags.name.removeprefix("tags-"))


@pytest.mark.parametrize("later", [0, 3 * DAY + 5 * 3_600], ids=["at once", "days later"])
def test_rows_and_answers_are_those_of_the_batch(trained: Trained, scorer: ConversionScorer, later: int) -> None:
    time, model = AS_OF + later, scorer.bundle.model
    features = ImpressionFeatures.of_json(scorer.bundle.about["features"])

    def scored(events: Any, links: Any, impressions: Any) -> Any:
        con = duckdb.connect(config={"threads": 1})
        log = LogSource(con, con.from_arrow(events), con.from_arrow(links), "UTC", "v", AS_OF)
        return BundleScorer(load_bundle(trained.tags), log, AS_OF).scores(log.events, links, impressions)

    batch = batch_rows(trained.home, time, features, scored)
    own = [features.columns.index(name) for name in features.columns if name.startswith("score_")]
    for number in range(REFUSED + 1, PEOPLE, 5):
        person = person_of(trained.home, number)
        wanted = np.stack([batch[person, note] for note in NOTES])
        made = scorer.rows(asked(person, time), 0)
        assert made.matrix.tobytes() == wanted.tobytes()
        assert not np.isnan(wanted[:, own]).any()
        answer = scorer.answer(asked(person, time), 0)
        chances = [[c.probabilities[target] for target in model.targets] for c in answer.candidates]
        assert chances == model.predict(wanted).round(9).tolist()
    assert len({row[own].tobytes() for row in batch.values()}) > 10


def test_who_is_unknown_has_no_scores(scorer: ConversionScorer) -> None:
    made = scorer.rows(asked("0" * 32, AS_OF), 0)
    assert not made.known
    assert np.isnan(made.matrix[:, -2:]).all()


def test_deleted_tags_are_no_columns(trained: Trained, scorer: ConversionScorer) -> None:
    person = person_of(trained.home, 7)
    key, bundle = load_key(trained.home), scorer.bundle
    gone: dict[str, set[str]] = {}
    heeding = ConversionScorer(bundle, scorer.store, key, deleted_tags=lambda: gone)
    before = scorer.rows(asked(person, AS_OF), 0)
    own = [bundle.model.features.index(f"score_{name}") for name in ("will-click", "will-buy")]
    about = [note["category"] for note in note_rows()]
    for by in (person, account_key(key, "red", "u7")):
        gone.clear()
        gone[by] = {"tea.will-click", "milk.never-heard-of"}
        by_account = asked(person, AS_OF).model_copy(update={"person": AccountRef(platform="red", account="u7")})
        after = heeding.rows(by_account, 0)
        missing = np.isnan(after.matrix[:, own])
        assert missing.tolist() == [[category == "tea", False] for category in about]
        kept = np.where(np.isnan(after.matrix), before.matrix, after.matrix)
        assert kept.tobytes() == before.matrix.tobytes()
        assert after.left_out == ["milk.never-heard-of", "tea.will-click"]
    # Of a bundle that does not know the ids of its tags, no score is read.
    earlier = replace(bundle, tags=replace(bundle.tags, ids=()))
    unsure = ConversionScorer(earlier, scorer.store, key, deleted_tags=lambda: {person: {"tea.will-click"}})
    assert np.isnan(unsure.rows(asked(person, AS_OF), 0).matrix[:, own]).all()


def test_a_fill_keeps_no_score_of_a_deleted_tag(trained: Trained, tmp_path: Path) -> None:
    home = copied(trained.home, tmp_path)
    person, number = person_of(home, 7), 0
    delete_tag(home, [account_key(load_key(home), "shop", "u7")], "tea.will-click")
    store = SqliteHistories(home.histories_file)
    [before] = store.get([person]).scores
    filled(home)
    [after] = store.get([person]).scores
    store.close()
    assert before is not None
    assert after is not None
    tags = load_conversion_bundle(trained.bundle).tags
    assert tags is not None
    number = tags.ids.index("tea.will-click")
    assert np.flatnonzero(np.isnan(after)).tolist() == [number]
    assert np.delete(after, number).tobytes() == np.delete(before, number).tobytes()


def test_a_store_with_other_scores_is_to_be_filled_anew(trained: Trained, conversion_home: Settings) -> None:
    bundle = load_conversion_bundle(trained.bundle)
    newer = replace(bundle, about=bundle.about | {"tags_bundle": "tags-newer"})
    for home, made, wrong in (
        (conversion_home, bundle, f"scores of {bundle.tags_bundle}, .* was filled with none"),
        (trained.home, newer, f"scores of tags-newer, .* was filled with those of {bundle.tags_bundle}"),
    ):
        store = SqliteHistories(home.histories_file)
        scorer = ConversionScorer(made, store, load_key(home))
        for ask in (scorer.check, lambda: scorer.answer(asked("0" * 32, AS_OF), 0)):  # noqa: B023
            with pytest.raises(StoreError, match=rf"{wrong}; run `zhongcao fill`"):
                ask()
        store.close()


def test_tags_inside_are_checked_as_a_bundle_of_their_own(trained: Trained, tmp_path: Path) -> None:
    home = copied(trained.home, tmp_path)
    folder = home.bundles_dir / trained.bundle.name
    heads = folder / "tags" / "heads.json"
    heads.write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"bundle tags is corrupt.*heads\.json"):
        promote(home, folder, kind=CONVERSION)
    with pytest.raises(BundleError, match=r"bundle tags is corrupt.*heads\.json"):
        filled(home)
    (folder / "tags" / MANIFEST).write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"corrupt.*tags/manifest\.json"):
        verify_bundle(folder, CONVERSION)


def test_other_tags_with_hashes_of_their_own_are_refused(trained: Trained, tmp_path: Path) -> None:
    home = copied(trained.home, tmp_path)
    folder = home.bundles_dir / trained.bundle.name
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(canonical_json(about | {"tags_bundle": "tags-other"}))
    (folder / MANIFEST).unlink()
    write_manifest(folder, CONVERSION)
    assert bundle_version(folder, CONVERSION) != trained.bundle.name
    with pytest.raises(BundleError, match="holds other tag models than it was trained with; valid: tags-other"):
        verify_bundle(folder, CONVERSION)
