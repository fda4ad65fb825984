"""Why an impression converts: contributions add up to the probability, LightGBM's own where nothing bends."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import FeatureError
from tests.training.chained_model import FEATURES, chained_model, rows
from training.conversion.explain import explain
from training.conversion.model import Booster, ConversionModel, Stage, log_odds


@pytest.fixture(scope="module")
def model() -> ConversionModel:
    return chained_model()


def test_bias_and_factors_add_up_to_the_log_odds(model: ConversionModel) -> None:
    x = rows()
    p = model.predict(x)
    assert 0 < (p[:, 2] == p[:, 1]).sum() < len(x), "some are capped and some are not"
    for number, target in enumerate(model.targets):
        found = [explanation.logit for explanation in explain(model, x, target)]
        np.testing.assert_allclose(found, log_odds(p[:, number]), atol=1e-9)


def test_a_line_scales_what_lightgbm_says(model: ConversionModel) -> None:
    x = rows()
    shap = model.boosters[0].predict(x, pred_contrib=True)
    for explanation, values, row in zip(explain(model, x, "click"), shap, x, strict=True):
        assert explanation.bias == pytest.approx(0.8 * (values[-1] - 0.3) - 0.4)
        assert {f.feature: f.effect for f in explanation.factors} == pytest.approx(
            {name: 0.8 * value for name, value in zip(FEATURES, values[:-1], strict=True) if value}
        )
        at = dict(zip(FEATURES, row.tolist(), strict=True))
        assert all(f.value == pytest.approx(at[f.feature], nan_ok=True) for f in explanation.factors)


def test_both_steps_of_a_chain_hand_on_their_shapley_value(model: ConversionModel) -> None:
    """The two players' values from the definition: the mean of what each adds in either order."""
    x = rows(1)
    plain = ConversionModel(
        FEATURES,
        (Stage("click", (), None, Booster(0, 0.0)), Stage("link_click", ("click",), "click", Booster(1, 0.0))),
        model.boosters,
        model.windows,
    )
    first, then = (booster.predict(x, pred_contrib=True)[0] for booster in model.boosters[:2])

    def both(with_first: bool, with_then: bool) -> float:
        logits = first[-1] + with_first * first[:-1].sum(), then[-1] + with_then * then[:-1].sum()
        return float(log_odds(np.prod(1 / (1 + np.exp(-np.array(logits))))))

    of_first = (both(True, False) - both(False, False) + both(True, True) - both(False, True)) / 2
    of_then = (both(False, True) - both(False, False) + both(True, True) - both(True, False)) / 2
    expected = of_first * first[:-1] / first[:-1].sum() + of_then * then[:-1] / then[:-1].sum()
    (found,) = explain(plain, x, "link_click")
    assert found.bias == pytest.approx(both(False, False))
    assert {f.feature: f.effect for f in found.factors} == pytest.approx(
        {name: value for name, value in zip(FEATURES, expected, strict=True) if value}
    )


def test_what_is_the_same_for_everybody_is_the_same_for_all_rows(model: ConversionModel) -> None:
    biases = {round(e.bias, 9) for e in explain(model, rows(), "link_click")}
    caps = {round(e.bias, 9) for e in explain(model, rows(), "click")}
    assert len(biases - caps) == 1


def test_the_strongest_come_first(model: ConversionModel) -> None:
    x = rows(5)
    for whole in explain(model, x, "purchase"):
        sizes = sorted((abs(factor.effect) for factor in whole.factors), reverse=True)
        assert [abs(factor.effect) for factor in whole.strongest(2)] == sizes[:2]
    assert explain(model, x[:0], "purchase") == []


def test_other_targets_and_rows_are_refused(model: ConversionModel) -> None:
    with pytest.raises(FeatureError, match=r"no such target: 'cart'; valid: .*purchase"):
        explain(model, rows(1), "cart")
    with pytest.raises(FeatureError, match="another shape than the model reads"):
        explain(model, rows(1)[:, :3], "click")
