"""What came of impressions: which of a person's later acts each impression is answered by, and when that was known.

Every event answers one impression at most. A click belongs to the person's latest impression of the note before it.
What follows a click belongs to the impression whose link_click was the latest before it, else to the one whose
click was, else to the latest impression; where the event carries the prediction id of one of them, it belongs to
that one. It answers that impression if it lies within the target's window, which runs from the impression, and none
otherwise. Clicks longer ago than the longest window before the first impression are not looked for. Refunds take no
purchase back unless that is asked for: what is predicted is whether somebody buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.asof import Int64
from features.days import DAY_SECONDS
from features.errors import FeatureError
from features.impressions.response_match import Matcher
from features.impressions.response_query import Match, read_material
from features.impressions.table import Impressions

TARGETS: Final = ("click", "true_interest", "link_click", "store_visit", "cart", "purchase", "ctcvr")
DEFAULT_WINDOWS: Final[dict[str, int]] = {
    "click": DAY_SECONDS,
    "true_interest": DAY_SECONDS,
    "link_click": DAY_SECONDS,
    "store_visit": 7 * DAY_SECONDS,
    "cart": 7 * DAY_SECONDS,
    "purchase": 15 * DAY_SECONDS,
    "ctcvr": 15 * DAY_SECONDS,
}
"""Seconds from the impression within which a target counts, where nothing else is said."""
_DEEP_ACTS: Final = ("deep_read", "save", "comment", "share", "follow", "search")


@dataclass(frozen=True)
class Responses:
    """When each impression was answered.

    Parameters
    ----------
    happened_at
        int64, n × K in the order of ``TARGETS``: time of the first answer, 0 without one.
    known_at
        int64, n × K: from when the log knows of an answer, 0 without one.
    times
        int64, n: times of the impressions.
    windows
        Target → seconds from the impression.
    arrival_delay
        Seconds after which an event has arrived.
    """

    happened_at: Int64
    known_at: Int64
    times: Int64
    windows: Mapping[str, int]
    arrival_delay: int = 0

    def labels(self, as_of: int) -> npt.NDArray[np.uint8]:
        """Return n × K: whether an answer was known by an instant."""
        return ((self.known_at > 0) & (self.known_at <= as_of)).astype(np.uint8)

    def mature(self, as_of: int) -> npt.NDArray[np.bool_]:
        """Return n × K: whether by an instant the window was over and all of it had had time to arrive."""
        lengths = np.array([self.windows[target] for target in TARGETS], np.int64) + self.arrival_delay
        return self.times[:, None] + lengths <= as_of


def responses(
    events: Any,
    identities: Any | None,
    impressions: Impressions,
    *,
    windows: Mapping[str, int] | None = None,
    match: Match = "note",
    note_items: Any | None = None,
    net_of_refunds: bool = False,
    arrival_delay: int = 0,
    span: tuple[int, int] | None = None,
) -> Responses:
    """Find the answers to impressions.

    Parameters
    ----------
    events, identities
        As for `read_impressions`; only what had arrived by ``impressions.known_at`` is looked at, and who is who is
        as known by then: what a person does with an account that was linked later counts from that moment.
    impressions
        n impressions. Others of the same notes (or brands) may take an event from them.
    windows
        Target → seconds; an answer lies in [impression, impression + seconds). ``DEFAULT_WINDOWS`` for the rest.
    match
        What a store visit, a cart or a purchase must share with the impression: ``note`` (it names the note),
        ``brand``, or ``items`` (its item is one that the note links).
    note_items
        Canonical note_items, for match ``items``, beside the item that each impression's note names itself.
    net_of_refunds
        Leave out purchases whose order (and item, where named) has been refunded.
    arrival_delay
        Seconds that events take to arrive, for `Responses.mature`.
    span
        Stretch of time, start and end, that the impressions were read from; by default that of the given ones. With
        it, persons' impressions have the same answers alone as among those of others.

    Raises
    ------
    FeatureError
        A target is unknown or its window is empty; no item is known to match by.
    """
    lengths = DEFAULT_WINDOWS | dict(windows or {})
    for target, length in lengths.items():
        if target not in TARGETS:
            raise FeatureError("unknown target", value=target, valid=TARGETS)
        if length < 1:
            raise FeatureError(f"the window of {target} is a whole number of seconds from 1", value=length)
    many = len(impressions)
    happened, known = np.zeros((many, len(TARGETS)), np.int64), np.zeros((many, len(TARGETS)), np.int64)
    found = Responses(happened, known, impressions.times, lengths, arrival_delay)
    if not many:
        return found
    material = read_material(
        events,
        identities,
        impressions,
        longest=max(lengths.values()),
        match=match,
        note_items=note_items,
        net_of_refunds=net_of_refunds,
        span=span or (int(impressions.times.min()), int(impressions.times.max())),
    )
    matcher = Matcher(material)
    click = matcher.clicks(lengths["click"])
    linked = matcher.links(lengths["link_click"])
    by = "brand" if match == "brand" else "note"
    answers = {
        "click": click,
        "link_click": linked,
        "true_interest": matcher.after_click(_DEEP_ACTS, lengths["true_interest"]),
    }
    for target in ("store_visit", "cart", "purchase"):
        answers[target] = matcher.in_shop(target, lengths[target], by)
    bought = matcher.in_shop("purchase", lengths["ctcvr"], by)
    answers["ctcvr"] = click.both(bought)
    for column, target in enumerate(TARGETS):
        answers[target].write(matcher.rows, happened[:, column], known[:, column])
    return found
