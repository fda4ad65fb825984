"""Reasons that need no window: age, mature outcomes, new tags, erasures."""

from __future__ import annotations

from features.days import DAY_SECONDS, day_text
from features.erasure.erasures import erased_since
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from training.splits import last_mature
from training.tags.bundle import Bundle
from training.triggers.trigger import Trigger


def changes(
    settings: Settings, champion: Bundle, present: int, timezone: str, taxonomy: Taxonomy | None = None
) -> list[Trigger]:
    """Return the reasons ``age``, ``maturity``, ``taxonomy`` and ``erasures``.

    Parameters
    ----------
    settings
        When each fires, and where erasures are noted.
    champion
        The tag models that serve.
    present
        Now, epoch seconds.
    timezone
        Of the log.
    taxonomy
        What would be trained; None where nobody says.
    """
    horizon = champion.taxonomy.base.horizon_days
    age = (present - champion.as_of) // DAY_SECONDS
    delay = int(champion.about.get("choices", {}).get("delay_days", 0)) * DAY_SECONDS
    mature = last_mature(present, horizon, delay, timezone)
    more = max(0, (mature - champion.as_of) // DAY_SECONDS)
    erased = erased_since(settings, champion.version)
    known = f"it knows everything until {day_text(champion.as_of, timezone)}"
    found = [
        Trigger("age", age >= settings.retrain_days, f"{known}, {age} days ago; {settings.retrain_days} count",
                {"days": age, "as_of": champion.as_of}),
        Trigger("maturity", more >= settings.retrain_mature_days,
                f"outcomes of {more} more days are known; {settings.retrain_mature_days} count",
                {"days": more, "mature_until": mature}),
        Trigger("erasures", erased >= settings.retrain_erasures,
                f"{erased:,} people were erased since; {settings.retrain_erasures} count", {"people": erased}),
    ]  # fmt: skip
    if taxonomy is not None:
        found.append(_taxonomy(champion.taxonomy.base, taxonomy))
    return found


def _taxonomy(before: Taxonomy, now: Taxonomy) -> Trigger:
    tags = [{tag.id for tag in one.tags} for one in (before, now)]
    verticals = [{vertical.id for vertical in one.verticals} for one in (before, now)]
    new, gone, fresh = sorted(tags[1] - tags[0]), sorted(tags[0] - tags[1]), sorted(verticals[1] - verticals[0])
    if before.hash == now.hash:
        return Trigger("taxonomy", False, "the taxonomy is the champion's", {})
    said = f"{len(new)} new tags, {len(gone)} gone, {len(fresh)} new verticals"
    if not (new or gone or fresh):
        said = "rules or names of tags changed"
    return Trigger("taxonomy", True, said, {"new_tags": new, "gone_tags": gone, "new_verticals": fresh})
