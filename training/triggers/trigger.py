"""A reason to retrain, fired or not, with its evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trigger:
    """One reason to retrain.

    Parameters
    ----------
    name
        Of the reason.
    fired
        Whether it is one now.
    said
        What was found, in words.
    evidence
        Figures, as JSON takes them; no ids of people.
    """

    name: str
    fired: bool
    said: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def fired(triggers: Iterable[Trigger]) -> list[Trigger]:
    """Return the reasons that there are.

    Examples
    --------
    >>> [one.name for one in fired([Trigger("age", True, "old"), Trigger("erasures", False, "none")])]
    ['age']
    """
    return [one for one in triggers if one.fired]
