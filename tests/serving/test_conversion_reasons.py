"""Why notes have their chances: the best candidates of a request are explained, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from features.errors import BundleError, RequestError
from features.people.identity import load_key
from features.settings import Settings
from serving.client import Account, Client
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import ConversionsRequest
from serving.scoring.conversions import ConversionScorer
from serving.words.impression import impression_in_words
from tests.serving.calls import application, post
from tests.serving.conversion_homes import AS_OF, FEATURES, FakeConversions
from tests.serving.test_client import URL, InProcess
from training.conversion.model import Booster, ConversionModel, Curve, Stage
from training.quality.calibration import Platt

NOTES = [f"n{i}" for i in range(12)]
TARGETS = ("click", "ctcvr")


@cache
def model() -> ConversionModel:
    """Two steps that read many columns; what the boosters say is what is answered, uncalibrated."""
    rng = np.random.default_rng(8)
    x = rng.integers(0, 6, (800, len(FEATURES.columns))).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    params = {"objective": "binary", "num_leaves": 8, "num_threads": 1, "verbosity": -1, "feature_fraction": 0.1}
    boosters = tuple(
        lgb.train(
            params,
            lgb.Dataset(x, (np.nan_to_num(x) @ weights > 0).astype(np.float32)),
            20,
            keep_training_booster=False,
        )
        for weights in rng.normal(size=(2, x.shape[1]))
    )
    as_it_is = Curve(Platt(1.0, 0.0))
    stages = (
        Stage("click", (), None, Booster(0, 0.0), as_it_is),
        Stage("ctcvr", ("click",), "click", Booster(1, 0.0), as_it_is),
    )
    return ConversionModel(FEATURES.columns, stages, boosters, dict.fromkeys(TARGETS, 86_400))


class Explained(FakeConversions):
    model = property(lambda self: model())  # type: ignore[assignment]


@pytest.fixture
def scorer(conversion_home: Settings) -> Iterator[ConversionScorer]:
    store = SqliteHistories(conversion_home.histories_file)
    yield ConversionScorer(Explained(), store, load_key(conversion_home))
    store.close()


def asked(candidates: list[Any], **more: Any) -> ConversionsRequest:
    person, context = {"platform": "red", "account": "u7"}, {"platform": "red", "time": AS_OF + 60}
    return ConversionsRequest.model_validate(
        {"person": person, "candidates": candidates, "context": context, "explain": True} | more
    )


def test_the_reasons_are_those_of_lightgbm(scorer: ConversionScorer) -> None:
    request = asked(NOTES, explain_target="click", explain_top=3, explain_factors=4)
    made = scorer.answer(request, 0)
    assert made.explained == "click"
    chances = np.array([c.probabilities["click"] for c in made.candidates])
    best = np.argsort(-chances, kind="stable")[:3].tolist()
    assert [place for place, c in enumerate(made.candidates) if c.factors is not None] == sorted(best)
    rows = scorer.rows(request, 0).matrix[best]
    shares = np.asarray(model().boosters[0].predict(rows, pred_contrib=True, num_threads=1))
    for place, share in zip(best, shares, strict=True):
        assert 1 / (1 + math.exp(-share.sum())) == pytest.approx(chances[place], abs=1e-8)
        strongest = np.argsort(-np.abs(share[:-1]), kind="stable")[:4]
        factors = made.candidates[place].factors
        assert factors is not None
        assert [f.effect for f in factors] == pytest.approx(share[strongest].tolist(), abs=1e-6)
        assert [f.feature for f in factors] == [FEATURES.columns[column] for column in strongest]


def test_brands_and_categories_are_called_by_their_names(scorer: ConversionScorer) -> None:
    named = {"brand": "Acme", "category": "tea", "topic": "autumn"}
    about = {"n1": {"brand": "b1", "category": "milk", "topic": "t1"}}
    candidates = ["n1", named, {"brand": None, "category": "soap"}]
    made = scorer.answer(asked(candidates, explain_factors=20), 0).candidates
    names = [about["n1"], named, {"category": "soap"}]
    for candidate, called in zip(made, names, strict=True):
        assert candidate.factors is not None
        for factor in candidate.factors:
            value = math.nan if factor.value is None else factor.value
            assert factor.words == impression_in_words(factor.feature, value, "en", called)
            assert factor.words_zh == impression_in_words(factor.feature, value, "zh", called)
    assert any("Acme" in factor.words for factor in made[1].factors or ())


def test_few_of_many_candidates_are_explained(scorer: ConversionScorer) -> None:
    made = scorer.answer(asked([{"price": price} for price in range(500)], explain_top=20, explain_factors=1), 0)
    assert made.explained == "ctcvr"
    explained = [c for c in made.candidates if c.factors is not None]
    assert [len(c.factors or ()) for c in explained] == [1] * 20
    least = min(c.probabilities["ctcvr"] for c in explained)
    assert all(c.probabilities["ctcvr"] <= least for c in made.candidates if c.factors is None)


def test_reasons_change_nothing_else(scorer: ConversionScorer) -> None:
    plain = scorer.answer(asked(NOTES, explain=False), 0)
    assert plain.explained is None
    told = scorer.answer(asked(NOTES), 0)
    assert sum(c.factors is not None for c in told.candidates) == 5
    for candidate in told.candidates:
        candidate.factors = None
    assert told.candidates == plain.candidates


def test_a_step_that_the_model_lacks_is_refused(scorer: ConversionScorer) -> None:
    with pytest.raises(RequestError, match="no such explain_target; valid: click, ctcvr"):
        scorer.answer(asked(NOTES, explain_target="cart"), 0)


@pytest.mark.parametrize("wrong", [{"explain_top": 21}, {"explain_factors": 0}, {"explain_target": "cart"}])
def test_what_cannot_be_explained_is_said(scorer: ConversionScorer, tmp_path: Path, wrong: dict[str, Any]) -> None:
    app = application(BundleError("there is no champion yet"), tmp_path, conversions=scorer)
    body = asked(NOTES).model_dump(mode="json", exclude_unset=True) | wrong
    answer = post(app, path="/v1/conversions", json=body)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text


@pytest.mark.parametrize(("explain", "target"), [(True, "ctcvr"), ("click", "click"), (False, None)])
def test_the_client_asks_for_reasons(
    scorer: ConversionScorer, tmp_path: Path, explain: str | bool, target: str | None
) -> None:
    app = application(BundleError("there is no champion yet"), tmp_path, conversions=scorer)
    context = {"platform": "red", "time": AS_OF + 60}
    with Client(URL, transport=InProcess(app)) as zhongcao:
        got = zhongcao.conversions(Account("red", "u7"), NOTES, context, explain=explain, explain_top=2)
    assert got.explained == target
    assert sum(bool(candidate.factors) for candidate in got.candidates) == (2 if explain else 0)
