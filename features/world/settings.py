"""What a world is made of: its size, its seed, its campaigns."""

from __future__ import annotations

from dataclasses import dataclass

from features.days import DAY_SECONDS, instant_of
from features.errors import SettingsError

_MOST_PEOPLE = 16_000_000
_MOST_DAYS = 4_000


@dataclass(frozen=True)
class WorldSettings:
    """Everything that a world follows from; the same settings give the same bytes.

    Parameters
    ----------
    people, days
        Size. Days are whole days of UTC.
    seed
        Of every draw.
    campaigns
        Number of campaigns, each of one brand, two to four weeks long where the world is long enough.
    start
        First day.
    hold_out
        Share of people that is kept from a campaign, drawn for each campaign anew.
    no_effect
        How many of the campaigns change nothing: their notes are clicked, but nobody buys because of them.
    prepares
        How many of the campaigns only prepare sales: their notes have no link to jump by.
    notes_per_campaign, brands_per_category, organic_per_day
        Paid notes of a campaign; brands of a category; new organic notes of a category a day.
    effect
        Multiplies how much a note raises the desire for its brand and how often it is searched back.
    all_linked
        Every shop account is known to be its person's from the start; else some are linked later, and some never.
    organic_truth
        Also keep the true probabilities of organic impressions, not of paid ones only.
    without_campaigns, without_notes
        Campaigns and notes whose impressions are replaced by house ads: the world that truth is compared with.

    Raises
    ------
    SettingsError
        A value is out of range.

    Examples
    --------
    >>> WorldSettings(people=100, days=7).end - WorldSettings(people=100, days=7).begin
    604800
    """

    people: int
    days: int
    seed: int = 1
    campaigns: int = 12
    start: str = "2024-04-01"
    hold_out: float = 0.1
    no_effect: int = 0
    prepares: int = 0
    notes_per_campaign: int = 4
    brands_per_category: int = 3
    organic_per_day: int = 2
    effect: float = 1.0
    all_linked: bool = False
    organic_truth: bool = False
    without_campaigns: tuple[str, ...] = ()
    without_notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bounds = {
            "people": (1, _MOST_PEOPLE), "days": (1, _MOST_DAYS), "seed": (0, 2**63 - 1), "campaigns": (0, 1_000),
            "hold_out": (0, 1), "no_effect": (0, self.campaigns), "prepares": (0, self.campaigns - self.no_effect),
            "notes_per_campaign": (1, 100), "brands_per_category": (1, 50), "organic_per_day": (1, 1_000),
            "effect": (0, 10),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} of a world is out of range", value=value, valid=[f"{low} to {high}"])

    @property
    def begin(self) -> int:
        """First moment, epoch seconds."""
        return instant_of(self.start)

    @property
    def end(self) -> int:
        """First moment after the last day, epoch seconds."""
        return self.begin + self.days * DAY_SECONDS
