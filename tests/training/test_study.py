from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.settings import Settings
from tests.training.small_log import DAY, START, small_choices, small_home, small_taxonomy
from training.quality.bootstrap import paired_bootstrap
from training.quality.calibration import sigmoid
from training.steps import Steps
from training.study import refits as refits_module
from training.study.ablation import NarrowView, ablation, families
from training.study.learning_curve import fewer_instants, fewer_people, of_people
from training.study.plots import draw_study
from training.study.refits import Refit, Refits
from training.study.study import PARTS, Study, TagStudy
from training.tags.evaluation import Evaluation
from training.tags.job import TagJob
from training.tags.outlook import Outlook
from training.tags.outlook_fit import window_moments
from training.tags.pairs import Fitted, PairView, Window
from training.tags.pooled import fit_pooled, pooled_logits
from training.tags.statics import STATIC_NAMES

AS_OF = START + 130 * DAY
TAXONOMY = small_taxonomy()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_home(tmp_path_factory.mktemp("study"))


def small_study(home: Settings) -> TagStudy:
    # With steps of a whole horizon the windows of all runs fall on the same days and are built once.
    choices = replace(small_choices(), step_days=15, most_instants=3)
    return TagStudy(home, TAXONOMY, AS_OF, choices, Steps())


@pytest.fixture(scope="module")
def found(home: Settings) -> Study:
    return small_study(home).run(PARTS, most_windows=2)


@pytest.fixture(scope="module")
def job(home: Settings, found: Study) -> TagJob:
    return small_study(home).job


def test_every_window_is_over_by_the_as_of_date_and_judged_by_an_earlier_model(found: Study) -> None:
    instants = [evaluation.instant for evaluation in found.windows]
    assert instants == [AS_OF - 30 * DAY, AS_OF - 15 * DAY]
    assert all(evaluation.macro["zhongcao"].macro_auc > 0.6 for evaluation in found.windows)


def test_an_evaluation_has_slices_and_looks_a_week_ahead(found: Study) -> None:
    evaluation = found.windows[0]
    assert {part.dimension for part in evaluation.slices} >= {"people", "activity", "tags by base rate"}
    steady = evaluation.stability
    assert steady is not None
    assert steady.people == evaluation.people
    for tag, counts in steady.per_tag.items():
        assert counts.before == round(evaluation.assigned[tag] * evaluation.people)
    assert 0 < steady.people_changed < steady.people
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.as_dict()))).as_dict() == evaluation.as_dict()


def test_nothing_after_the_end_is_looked_at_for_the_week_ahead(job: TagJob) -> None:
    assert job._week_after(AS_OF, AS_OF + 7 * DAY - 1) is None
    assert job._week_after(AS_OF - 15 * DAY, AS_OF) == AS_OF - 8 * DAY


def test_the_ladder_ends_with_the_whole_recipe(found: Study) -> None:
    last = found.windows[-1]
    assert [step.name for step in found.additions] == [
        "history count", "pooled logistic regression", "pooled trees", "with heads blended in",
        "with a level per tag",
    ]  # fmt: skip
    assert found.additions[-1].metrics.macro_auc == pytest.approx(last.macro["zhongcao"].macro_auc)
    assert found.additions[0].metrics.macro_auc == pytest.approx(last.macro["history_count"].macro_auc)
    gain = found.additions[1].metrics.log_loss - found.additions[0].metrics.log_loss
    assert found.additions[1].over_previous["log_loss"].difference == pytest.approx(gain)


def test_leaving_out_is_fitting_without_the_columns(found: Study, job: TagJob) -> None:
    whole = found.features[0]
    assert whole.differences == {}
    view = PairView(job.builder.layout, TAXONOMY)
    assert [refit.name for refit in found.features[1:]] == [f"without {name}" for name in families(view)]
    name, names = list(families(view).items())[-1]
    narrow = NarrowView(view.layout, TAXONOMY, names)
    assert set(narrow.names) == set(view.names) - set(names)
    people, tags = np.arange(5), np.arange(5)
    window = job.choose_windows()[0]
    kept = [view.names.index(name) for name in narrow.names]
    np.testing.assert_array_equal(
        narrow.gather(window.rows, window.fitted, people, tags),
        view.gather(window.rows, window.fitted, people, tags)[:, kept],
    )
    refit = next(refit for refit in found.features if refit.name == f"without {name}")
    assert refit.features == len(view.names) - len(names)
    assert refit.differences["macro_auc"].difference == pytest.approx(
        refit.metrics.macro_auc - whole.metrics.macro_auc
    )


def test_the_fit_on_everything_is_measured_as_it_comes(found: Study, job: TagJob) -> None:
    refits = Refits(job)
    booster, share = fit_pooled(
        refits.view, refits.choose, refits.active, job.choices.tags.pooled, seed=job.choices.tags.seed, threads=1
    )
    window = refits.validation
    assert window.instant == job.plan.validation
    assert all(choose.instant + 15 * DAY <= window.instant for choose in refits.choose)
    logits = pooled_logits(booster, refits.view, window.rows, window.fitted, share)
    scores = sigmoid(logits[:, refits.active])
    assert refits.whole().metrics == found.features[0].metrics
    differences = paired_bootstrap(window.outcomes[:, refits.active], scores, refits._everything(), seed=1)
    assert differences["log_loss"].difference == pytest.approx(0, abs=1e-12)


def test_families_hold_every_feature_once(job: TagJob) -> None:
    view = PairView(job.builder.layout, TAXONOMY)
    parts = families(view)
    assert sorted(name for names in parts.values() for name in names) == sorted(view.names)
    assert parts["how common the tag is"] == STATIC_NAMES
    assert "purchase_decayed30_all@parent" in parts["the scope above"]
    assert "purchase_sum_amount_all_price@tag" in parts["money, price and discounts"]
    assert "purchase_recency_all@tag" in parts["cadence in the tag's scope"]
    assert "purchase_count_30d@tag" in parts["purchases in the tag's scope"]
    assert "purchase_recency_all" in parts["the person over all"]


def test_curves_grow_to_everything(found: Study, job: TagJob) -> None:
    people = [refit.people for refit in found.people]
    assert people == sorted(people)
    assert people[0] < people[-1] / 5
    counts = [refit.instants for refit in found.instants]
    assert counts == [*[1, 2, 4, 8][: len(counts) - 1], len(job.plan.choose)]
    assert found.people[-1] == replace(found.features[0], name="all people")


def test_fewer_people_are_a_smaller_log(job: TagJob) -> None:
    window = job.choose_windows()[0]
    view = PairView(job.builder.layout, TAXONOMY)
    everybody = of_people(view, window, list(window.persons))
    np.testing.assert_array_equal(everybody.fitted.statics, window.fitted.statics)
    some = of_people(view, window, [*window.persons[3:9], "nobody"])
    assert list(some.persons) == list(window.persons[3:9])
    np.testing.assert_array_equal(some.rows, window.rows[3:9])
    np.testing.assert_array_equal(some.outcomes, window.outcomes[3:9])
    assert (some.fitted.statics != window.fitted.statics).any()


def test_refits_have_outlooks_of_what_they_are_fitted_on(
    job: TagJob, found: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, tuple[PairView | None, list[Window], Fitted]] = {}

    def refit(
        refits: Refits,
        name: str,
        *,
        view: PairView | None = None,
        windows: Sequence[Window] = (),
        fitted: Fitted | None = None,
    ) -> Refit:
        if fitted is not None:
            asked[name] = view, list(windows), fitted
        return found.features[0]

    monkeypatch.setattr(Refits, "refit", refit)
    refits = Refits(job)
    fewer_people(refits, lambda: None)
    fewer_instants(refits, lambda: None)
    ablation(refits, lambda: None)

    view = refits.view
    _, few, fitted = asked["10 % of people"]
    assert np.isnan(few[0].fitted.outlook.own).all()
    told = [window_moments(view, window) for window in few]
    np.testing.assert_allclose(few[1].fitted.outlook.own, Outlook.fit(told[:1]).own)
    np.testing.assert_allclose(fitted.outlook.own, Outlook.fit(told).own)
    _, last, fitted = asked["1 instant"]
    assert np.isnan(last[0].fitted.outlook.own).all()
    np.testing.assert_allclose(fitted.outlook.own, Outlook.fit([window_moments(view, refits.choose[-1])]).own)

    narrow, windows, fitted = asked["without label history"]
    assert narrow is not None
    people, tags = np.arange(20), np.arange(20) % len(TAXONOMY.tags)
    rows = np.array(refits.validation.rows[:20])
    other = rows.copy()
    other[:, view.layout.tag_columns] = 1 - np.nan_to_num(other[:, view.layout.tag_columns])
    np.testing.assert_array_equal(
        narrow.gather(rows, fitted, people, tags), narrow.gather(other, fitted, people, tags)
    )
    whole = refits.validation.fitted
    assert not np.array_equal(
        view.gather(rows, whole, people, tags)[:, -1], view.gather(other, whole, people, tags)[:, -1]
    )
    assert np.isnan(windows[0].fitted.outlook.own).all()
    assert np.isfinite(windows[-1].fitted.outlook.own).all()


def test_a_rerun_fits_nothing_again(home: Settings, found: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(refits_module, "fit_pooled", refuse)
    again = small_study(home).run(("features", "people", "instants"))
    assert (again.features, again.people, again.instants) == (found.features, found.people, found.instants)
    assert again.windows == again.additions == []


def test_a_study_is_drawn_and_written(found: Study, tmp_path: Path) -> None:
    plots = draw_study(found, "UTC", tmp_path)
    assert [plot.stem for plot in plots] == [
        "quality_by_instant", "without_each_family", "by_people", "by_instants",
    ]  # fmt: skip
    assert draw_study(Study([], [], [], [], []), "UTC", tmp_path) == []
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert [Refit.from_dict(one) for one in document["instants"]] == found.instants
    assert set(document) == set(PARTS)
