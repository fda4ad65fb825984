"""Delivery policies: exact propensities, and refusals of those that break the contract."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import SettingsError
from features.world.policy import BroadPolicy, Candidates, Choice, InterestPolicy, Policy, Slots
from features.world.settings import WorldSettings
from features.world.world import World, run

SETTINGS = WorldSettings(people=600, days=12, campaigns=5, seed=4)


def slots(draws: int = 40_000) -> Slots:
    ones = np.ones(3, np.int64)
    found = Candidates(
        note=np.array([10, 11, 12]), campaign=np.arange(3), brand=np.arange(3), category=np.array([0, 1, 1]),
        creator=ones, topic=ones, bid=np.array([100, 200, 100]), published_at=ones, video=np.zeros(3, bool),
        names=["a", "b", "c"], campaign_names=["x", "y", "z"],
    )  # fmt: skip
    recent = np.array([[0, 0], [256, 0], [0, 4_000]], np.int16)
    person = np.arange(draws) % 3
    nothing = np.zeros(draws, np.int64)
    draw = (np.arange(draws) // 3 + 0.5) / (draws / 3 + 1)
    return Slots(0, person, nothing, nothing, nothing, draw, recent, found, np.arange(3))


@pytest.mark.parametrize(
    ("policy", "weights"),
    [
        (BroadPolicy(), [[1, 2, 1]] * 3),
        (InterestPolicy(tilt=np.log(2)), [[1, 2, 1], [2, 2, 1], [1, 16, 8]]),
        (InterestPolicy(tilt=0), [[1, 2, 1]] * 3),
    ],
)
def test_choices_come_with_their_probabilities(policy: Policy, weights: list[list[float]]) -> None:
    given = slots()
    choice = policy.choose(given)
    for person in range(3):
        mine = given.person == person
        expected = np.array(weights[person]) / np.sum(weights[person])
        shares = np.bincount(choice.candidate[mine], minlength=3) / mine.sum()
        assert shares == pytest.approx(expected, abs=1e-3)
        assert choice.propensity[mine] == pytest.approx(expected[choice.candidate[mine]])


def test_a_policy_sees_accounts_as_the_log_names_them() -> None:
    seen: set[str] = set()

    class Watching(BroadPolicy):
        def choose(self, slots: Slots) -> Choice:
            seen.update(slots.accounts().to_pylist())
            return super().choose(slots)

    world = World(SETTINGS)
    day = next(run(world, Watching()))
    log = day.events.to_pandas()
    assert seen == set(log[log.propensity.notna()].account)


def test_interest_policy_shows_people_what_they_read_about() -> None:
    def mean_interest(policy: Policy) -> float:
        world = World(SETTINGS)
        for day in run(world, policy):
            log = day.events.to_pandas()
        people = world.truth()["people"].to_pandas().set_index("account")
        ads = log[(log.kind == "impression") & log.campaign.notna()]
        return float(np.mean([people[f"interest_{c}"][a] for a, c in zip(ads.account, ads.category, strict=True)]))

    assert mean_interest(InterestPolicy(tilt=2.0)) > mean_interest(BroadPolicy()) + 0.1


@pytest.mark.parametrize(
    ("candidate", "propensity", "problem"),
    [(99, 0.5, "chose what is no candidate: 99"), (0, 0.0, "probability that is none: 0.0")],
)
def test_a_policy_that_breaks_its_contract_is_refused(candidate: int, propensity: float, problem: str) -> None:
    class Broken:
        name = "broken"

        def choose(self, slots: Slots) -> Choice:
            return Choice(np.full(len(slots), candidate), np.full(len(slots), propensity))

    with pytest.raises(SettingsError, match=problem):
        World(SETTINGS).step(0, Broken())


def test_a_policy_must_fill_every_slot() -> None:
    class Lazy:
        name = "lazy"

        def choose(self, slots: Slots) -> Choice:
            return Choice(np.zeros(1, np.int64), np.ones(1))

    with pytest.raises(SettingsError, match="policy lazy must choose for each of"):
        World(SETTINGS).step(0, Lazy())
