"""Candidate behaviour patterns, kept where the log's last window says that they can be learned."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from features.days import DAY_SECONDS, days_text
from features.errors import LogTooShortError
from features.log.profile import Profile, known_events
from features.people.population import population
from features.rows.outcomes import base_rates
from features.spine import Spine
from features.taxonomy.rule_nodes import kinds_text
from features.taxonomy.taxonomy import taxonomy_of

RAREST: Final = 0.003
MOST_COMMON: Final = 0.6
_WISHED: Final = 0.4
_MOST_DAYS: Final = 8
_SAMPLE: Final = 20_000
_FEWEST_PEOPLE: Final = 10
Entry = dict[str, Any]


@dataclass(frozen=True)
class LastWindow:
    """The log's last full window: drafts are judged by what came true in it.

    Parameters
    ----------
    profile
        What the log holds.
    events
        Events known by the profile's instant.
    spine
        At most 20,000 people as of one horizon before that instant.
    horizon
        Length of the window, days.
    """

    profile: Profile
    events: Any
    spine: Spine
    horizon: int

    @classmethod
    def of(
        cls, profile: Profile, events: Any, horizon: int, *, identities: Any = None, timezone: str = "UTC"
    ) -> LastWindow:
        """Take the people who acted before the window, every so many of them where they are many."""
        known = known_events(events, profile.as_of)
        instant = profile.as_of - horizon * DAY_SECONDS
        spine = population(known, identities, [instant], timezone, known_at=profile.as_of, kinds=profile.act)
        if not len(spine):
            raise LogTooShortError(
                f"nobody acted before the last {days_text(horizon)} of the log, in which a draft measures its tags",
                next_step="import more history, or give --horizon-days a smaller number",
            )
        step = -(-len(spine) // _SAMPLE)
        return cls(profile, known, spine if step <= 1 else spine.take(range(0, len(spine), step)), horizon)

    @property
    def rarest(self) -> float:
        """Base rate below which a tag can hardly be learned: ten people, or a tenth, of a small log; else 0.3 %."""
        return max(RAREST, min(_FEWEST_PEOPLE / len(self.spine), 0.1))

    @property
    def act(self) -> str:
        """The kinds that tags are about, as a rule names them."""
        return kinds_text(self.profile.act)

    def rates(self, verticals: list[Entry], patterns: list[Entry]) -> dict[str, float]:
        """Return the base rate of each vertical × pattern by tag id."""
        fitting = _fitting_numbers(verticals, patterns)
        content = {"name": "draft", "horizon_days": self.horizon, "vertical": fitting, "pattern": patterns}
        return base_rates(taxonomy_of(content), self.events, self.spine)


def learnable_patterns(window: LastWindow, verticals: list[Entry], singles: list[Entry], size: int) -> Entry:
    """Return the verticals and the patterns whose base rates can be learned, filled up with single categories.

    Parameters
    ----------
    window
        Where base rates are measured.
    verticals
        Drafted verticals.
    singles
        Verticals of one category each, most bought first, to fill up with.
    size
        How many tags at most.
    """
    verticals = _with_days(window, verticals)
    drafts = candidate_patterns(window.profile, window.horizon)
    rates = window.rates(verticals, drafts)
    patterns: list[Entry] = []
    room = size
    for pattern in drafts:
        here = {v["id"]: rates[f"{v['id']}.{pattern['id']}"] for v in verticals}
        kept = {name: rate for name, rate in here.items() if window.rarest <= rate <= MOST_COMMON}
        if not kept or len(kept) > room:
            continue
        room -= len(kept)
        left_out = [name for name in here if name not in kept]
        comment = f"came true for {min(kept.values()):.1%} to {max(kept.values()):.1%} of the people"
        patterns.append({"#": comment, **pattern, **({"except": left_out} if left_out else {})})
    chosen = _common_singles(window, singles, room)
    if chosen:
        names = [single["id"] for single in chosen]
        patterns.append({"#": "single categories, to fill up", **_single_pattern(window.act), "only": names})
    if not patterns:
        raise LogTooShortError(
            f"no behaviour came true for {window.rarest:.1%} to {MOST_COMMON:.0%} of the people in the last "
            "window, so no tag could be learned: people before that window",
            value=len(window.spine),
            next_step="import more people or a longer log, or write a taxonomy by hand (docs/taxonomy.md)",
        )
    return {"vertical": [*_fitting_numbers(verticals, patterns), *chosen], "pattern": patterns}


def candidate_patterns(profile: Profile, horizon: int) -> list[Entry]:
    """Return the patterns that the log has the columns for.

    Examples
    --------
    >>> few = Profile(0, ("purchase",), {}, frozenset(), first=0)
    >>> [pattern["id"] for pattern in candidate_patterns(few, 30)]
    ['will-buy', 'heavy', 'newcomer', 'lapsed-returning']
    """
    text = (resources.files("features") / "data" / "pattern_drafts.toml").read_text(encoding="utf-8")
    for name, value in {"act": kinds_text(profile.act), "before": str(3 * horizon)}.items():
        text = text.replace(f"{{{name}}}", value)
    drafts = tomllib.loads(text)["pattern"]
    fitting = [
        draft
        for draft in drafts
        if profile.holds.issuperset(draft.get("needs", ())) and profile.holds.isdisjoint(draft.get("lacks", ()))
    ]
    return [{key: value for key, value in draft.items() if key not in {"needs", "lacks"}} for draft in fitting]


def _with_days(window: LastWindow, verticals: list[Entry]) -> list[Entry]:
    """Ask for so many days of acting that at most 40 % of the people reach them."""
    texts = dict.fromkeys(("name", "name_zh", "meaning"), "{vertical}")
    often = [{"id": f"d{n}", "rule": f"days({window.act}) >= {n}", **texts} for n in range(1, _MOST_DAYS + 1)]
    rates = window.rates(verticals, often)
    made = []
    for vertical in verticals:
        enough = [n for n in range(1, _MOST_DAYS + 1) if rates[f"{vertical['id']}.d{n}"] <= _WISHED]
        days = min(enough, default=_MOST_DAYS)
        made.append({**vertical, "numbers": {"days": days}} if days > 1 else vertical)
    return made


def _fitting_numbers(verticals: list[Entry], patterns: list[Entry]) -> list[Entry]:
    if any("days" in pattern.get("numbers", {}) for pattern in patterns):
        return verticals
    return [{key: value for key, value in v.items() if key != "numbers"} for v in verticals]


def _single_pattern(act: str) -> Entry:
    texts = dict.fromkeys(("tag", "name", "name_zh"), "{vertical}")
    meaning = f"At least one {act} in {{vertical}} within {{horizon}} days."
    return {"id": "buys", **texts, "meaning": meaning, "rule": f"count({act}) >= 1"}


def _common_singles(window: LastWindow, singles: list[Entry], room: int) -> list[Entry]:
    """Return the single categories that can be learned, as many as there is room for."""
    if room < 1 or not singles:
        return []
    rates = window.rates(singles, [_single_pattern(window.act)])
    fitting = [single for single in singles if window.rarest <= rates[single["id"]] <= MOST_COMMON]
    return [{**single, "patterns": ["buys"]} for single in fitting[:room]]
