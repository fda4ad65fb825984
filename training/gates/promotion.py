"""Whether a challenger becomes the champion: better beyond noise, and not worse on any guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Self, get_args

from features.days import DAY_SECONDS
from features.errors import TrainingError
from training.gates.check import Check, Report
from training.gates.promotion_contest import Contest, Drawn
from training.gates.promotion_guards import (
    Cost,
    bad_columns,
    bad_slices,
    calibration,
    cost_checks,
    stability,
)
from training.quality.bootstrap import Difference
from training.quality.json_figures import from_json, to_json
from training.quality.metrics import macro_metrics

When = Literal["better", "not_worse"]
PRIMARY: Final = "better-than-champion"


@dataclass(frozen=True)
class Policy:
    """What a promotion needs.

    Parameters
    ----------
    promote_if
        ``better``: the log loss must be lower beyond noise. ``not_worse``: it must not be higher by more than
        `margin`, beyond noise.
    stale_days
        A challenger that knows so many days more than the champion need only be not worse, whatever `promote_if`
        says: what a model was fitted on (base rates, outlooks, catalogue) ages even while its figures hold.
    margin
        Share of the champion's log loss.
    level
        Of the interval of the log loss.

    Raises
    ------
    TrainingError
        There is no such rule.
    """

    promote_if: When = "better"
    stale_days: int = 56
    margin: float = 0.005
    level: float = 0.99

    def __post_init__(self) -> None:
        if self.promote_if not in get_args(When):
            raise TrainingError("no such rule of promotion", value=self.promote_if, valid=get_args(When))


@dataclass(frozen=True)
class Sides:
    """Who meets whom, and where.

    Parameters
    ----------
    champion, challenger
        Versions of the bundles, or the name of a baseline.
    champion_as_of, challenger_as_of
        Instants of what they know, epoch seconds.
    start, end
        The window: features as of `start`, or impressions from then on, outcomes until `end`.
    """

    champion: str
    challenger: str
    champion_as_of: int
    challenger_as_of: int
    start: int
    end: int


@dataclass(frozen=True)
class Verdict:
    """What a comparison came to.

    Parameters
    ----------
    promote
        Whether the challenger may serve.
    report
        Why: one check for the primary figure and one for each guard.
    primary
        Log loss per pair of the challenger less that of the champion, with its interval; below 0 is better.
    sides
        Who met whom.
    people, pairs
        How many were compared.
    figures
        Of both models: ``champion.log_loss`` and the like.
    """

    promote: bool
    report: Report
    primary: Difference
    sides: Sides
    people: int
    pairs: int
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The verdict in one sentence."""
        decisive = self.report.failed or self.report.checks[:1]
        said = "; ".join(f"{check.name}: {check.said}" for check in decisive)
        return f"{self.sides.challenger} {'may' if self.promote else 'must not'} serve: {said}"

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON takes it; figures that are not defined become null."""
        return {
            "promote": self.promote,
            "reason": self.reason,
            "report": to_json(self.report.as_dict()),
            "primary": to_json(self.primary._asdict()),
            "sides": asdict(self.sides),
            "people": self.people,
            "pairs": self.pairs,
            "figures": to_json(dict(self.figures)),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote; null becomes NaN again."""
        return cls(
            promote=document["promote"],
            report=Report.from_dict(document["report"]),
            primary=Difference(**from_json(document["primary"])),
            sides=Sides(**document["sides"]),
            people=document["people"],
            pairs=document["pairs"],
            figures=from_json(document["figures"]),
        )


def judge(
    contest: Contest,
    sides: Sides,
    policy: Policy | None = None,
    *,
    cost: Cost | None = None,
    further: Sequence[Check] = (),
    first: bool = False,
) -> Verdict:
    """Decide between two models.

    Parameters
    ----------
    contest
        What both said of the same later window.
    sides
        Who they are.
    policy
        What a promotion needs; the default one by default.
    cost
        What both cost to run and to keep; None where the champion is a baseline.
    further
        Checks that are made elsewhere, such as tags that were lost.
    first
        Whether nothing serves yet and the champion is a baseline: its guards are told, and stop nothing, since a
        constant is perfectly calibrated and steady, and still of no use.

    Raises
    ------
    TrainingError
        The window lies, in part, before what one of the models knows.

    Notes
    -----
    The log loss of all pairs decides, since it is proper: it falls with better ranking and with better calibration
    and can be won by neither alone. As a mean over people it needs fewer of them to tell two models apart than
    macro AP, which hangs on the few positives of rare tags; ``python -m bench.gates_promotion`` prints both.
    """
    policy = policy or Policy()
    if sides.start < max(sides.champion_as_of, sides.challenger_as_of):
        raise TrainingError(
            "two models are compared on a window that neither of them knows",
            value=sides.start,
            valid=[f"{max(sides.champion_as_of, sides.challenger_as_of)} or later"],
        )
    primary = _difference(contest.primary, policy.level)
    guards = (
        calibration(contest),
        *((bad_slices(contest),) if contest.slices else ()),
        bad_columns(contest),
        *((stability(contest),) if contest.chosen is not None else ()),
        *(() if cost is None else cost_checks(cost)),
        *further,
    )
    if first:
        guards = tuple(replace(g, status="WARN", next_step="") if g.status == "FAIL" else g for g in guards)
    report = Report("promotion", (_primary_check(contest, primary, sides, policy), *guards))
    return Verdict(
        promote=report.passed,
        report=report,
        primary=primary,
        sides=sides,
        people=contest.people,
        pairs=int(contest.labels.size),
        figures=_figures(contest),
    )


def _primary_check(contest: Contest, primary: Difference, sides: Sides, policy: Policy) -> Check:
    loss = _mean_loss(contest)
    gain, low, high = (-100 * figure / loss for figure in (primary.difference, primary.high, primary.low))
    newer = (sides.challenger_as_of - sides.champion_as_of) / DAY_SECONDS
    said = f"log loss of pairs {gain:+.2f} % better ({low:+.2f} to {high:+.2f}) than {sides.champion}"
    evidence = {
        "difference": primary.difference,
        "low": primary.low,
        "high": primary.high,
        "level": policy.level,
        "days_newer": newer,
    }
    if primary.high < 0:
        return Check(PRIMARY, "PASS", said, evidence=evidence)
    stale = newer >= policy.stale_days
    if (policy.promote_if == "not_worse" or stale) and primary.high <= policy.margin * loss:
        why = f"it knows {newer:.0f} days more" if stale else "the policy asks for no more"
        return Check(
            PRIMARY, "PASS", f"{said}: not worse by {100 * policy.margin:g} %, and {why}", evidence=evidence
        )
    step = "the champion stays; more people or a later window would tell smaller differences"
    return Check(PRIMARY, "FAIL", f"{said}: not beyond noise", evidence=evidence, next_step=step)


def _mean_loss(contest: Contest) -> float:
    return macro_metrics(contest.labels, contest.champion).log_loss


def _difference(drawn: Drawn, level: float) -> Difference:
    low, high = drawn.interval(level)
    return Difference(float(drawn.value[0]), float(low[0]), float(high[0]))


def _figures(contest: Contest) -> dict[str, float]:
    sides = {"champion": contest.champion, "challenger": contest.challenger}
    found = {
        f"{side}.{name}": value
        for side, probabilities in sides.items()
        for name, value in macro_metrics(contest.labels, probabilities).as_dict().items()
    }
    return found | dict(zip(("champion.slope", "challenger.slope"), contest.slopes, strict=True))
