"""Adding a person's segments to an OpenRTB bid request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import orjson

from features.taxonomy.iab import SEGTAX, iab_node
from features.taxonomy.sensitive import sensitive_word
from features.taxonomy.taxonomy import Taxonomy
from serving.messages.schemas import MOST_TAGS, TagAnswer
from serving.openrtb.consent import Reason, why_not_personal
from serving.openrtb.people import OpenRtbSettings, accounts_of
from serving.openrtb.schemas import BidRequest
from serving.openrtb.splice import with_user_data
from serving.predictions.record import Keeps
from serving.scoring.scorer import Scorer

MOST_SEGMENTS: Final = 100
PROVIDER: Final = "zhongcao"
Status = Literal["enriched", "unknown", "no-id", "no-tags", "late"] | Reason
STATUSES: Final = tuple(status for words in get_args(Status) for status in get_args(words))
"""What may have become of a request."""


@dataclass(frozen=True)
class Enriched:
    """A bid request on its way back.

    Parameters
    ----------
    body
        As it was sent, byte for byte, or with ``user.data`` added to.
    status
        ``enriched``; or why nothing was added.
    prediction_id
        Names the prediction that the segments are of; None where nothing was added, or predictions have no ids.
    """

    body: bytes
    status: Status
    prediction_id: str | None = None


class Enricher:
    """Adds segments; any number of threads may call it at once.

    Parameters
    ----------
    openrtb
        Which ids of a request are accounts, and who we are.
    clock
        Epoch seconds.
    log
        Names predictions and keeps a sample of them; without, they have no ids.
    """

    def __init__(
        self, openrtb: OpenRtbSettings, clock: Callable[[], float] = time.time, log: Keeps | None = None
    ) -> None:
        self._openrtb = openrtb
        self._clock = clock
        self._log = log
        self._own: tuple[str, dict[str, str | None]] = ("", {})

    def enrich(self, scorer: Scorer, bid: BidRequest, body: bytes) -> Enriched:
        """Return the request with segments of the first of its accounts that is known; if one refuses, of none.

        Parameters
        ----------
        scorer
            Answers tags.
        bid, body
            The request, and as it was sent.
        """
        reason = why_not_personal(bid, datetime.fromtimestamp(self._clock(), UTC).year, self._openrtb.vendor)
        if reason is not None:
            return Enriched(body, reason)
        accounts = accounts_of(bid, self._openrtb.ids)
        if not accounts:
            return Enriched(body, "no-id")
        if scorer.refused(accounts):
            return Enriched(body, "unknown")
        # One after the other: only who is answered about is predicted, and kept.
        each = (scorer.tags([account], top=MOST_TAGS, log=self._log)[0] for account in accounts)
        found = next((person for person in each if person.status == "known"), None)
        if found is None:
            return Enriched(body, "unknown")
        data = self._data(scorer.bundle.taxonomy, found.tags)
        if not data:
            return Enriched(body, "no-tags")
        added = ",".join(orjson.dumps(one).decode() for one in data)
        return Enriched(with_user_data(body.decode(), added).encode(), "enriched", found.prediction_id)

    def _data(self, taxonomy: Taxonomy, tags: list[TagAnswer]) -> list[dict[str, Any]]:
        """Return the objects to add: own segments, and those of the IAB that they amount to."""
        may_leave = self._may_leave(taxonomy)
        tags = [tag for tag in tags if tag.assigned and tag.id in may_leave][:MOST_SEGMENTS]
        own = [{"id": tag.id, "name": tag.name, "value": f"{tag.probability:.6f}"} for tag in tags]
        standard = dict.fromkeys(iab for tag in tags if (iab := may_leave[tag.id]) is not None)
        segments = [{"id": iab, "name": iab_node(iab).name} for iab in standard]
        found: list[dict[str, Any]] = [{"id": PROVIDER, "name": taxonomy.name, "segment": own}] if own else []
        if segments:
            found.append({"id": PROVIDER, "name": PROVIDER, "ext": {"segtax": SEGTAX}, "segment": segments})
        return found

    def _may_leave(self, taxonomy: Taxonomy) -> dict[str, str | None]:
        """Return id → IAB id of the tags that are not sensitive; looked up once per taxonomy."""
        known, tags = self._own
        if known != taxonomy.hash:
            tags = {tag.id: tag.iab for tag in taxonomy.tags if sensitive_word(taxonomy, tag) is None}
            self._own = taxonomy.hash, tags
        return tags
