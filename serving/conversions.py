"""Conversion predictions: from a person and candidate notes to what would follow, without any web framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from features.acts import code_of
from features.errors import BundleError, RequestError, StoreError
from features.history import History
from features.identity import account_key
from features.impression_features import ImpressionFeatures, impression_rows
from features.impressions import Impressions
from serving.candidates import impressions_of
from serving.conversion_schemas import CandidateAnswer, ConversionsAnswer, ConversionsRequest
from serving.histories import Found, HistoryInfo, HistoryStore
from serving.packed_acts import ACTS_SCHEMA, acts_of
from serving.schemas import AccountRef, PersonRef
from serving.shared_facts import SharedFacts

_DIGITS: Final = 9
_SALE: Final = "ctcvr"


class ConversionsModel(Protocol):
    """What the scorer needs of a conversion model."""

    @property
    def features(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def targets(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def window_days(self) -> Mapping[str, float]: ...  # noqa: D102

    def predict(self, rows: NDArray[np.float32], /) -> NDArray[np.float64]:
        """Return probabilities [n, targets]."""


class ConversionsBundle(Protocol):
    """What the scorer needs of a bundle; `training.conversion.bundle.ConversionBundle` has it."""

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def as_of(self) -> int: ...  # noqa: D102

    @property
    def model(self) -> ConversionsModel: ...  # noqa: D102

    @property
    def about(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class AskedRows:
    """What the model is asked with.

    Parameters
    ----------
    facts
        What is known of notes.
    known
        Whether anything is known of the person.
    impressions
        The candidates as n impressions of one person at one instant.
    matrix
        Their rows, float32 [n, features].
    """

    facts: SharedFacts
    known: bool
    impressions: Impressions
    matrix: NDArray[np.float32]


class ConversionScorer:
    """Answers what would follow if a person saw some notes.

    Any number of threads may call it at once. A fill of the store is noticed by the next request.

    Parameters
    ----------
    bundle
        Model, and which features it reads.
    store
        Histories.
    key
        Installation key that account ids are hashed with.
    withdrawn
        Tells whose history must not be used, as of now.

    Raises
    ------
    BundleError
        This version of zhongcao does not compute what the model reads.
    """

    def __init__(
        self,
        bundle: ConversionsBundle,
        store: HistoryStore,
        key: bytes,
        withdrawn: Callable[[], AbstractSet[str]] = frozenset,
    ) -> None:
        self.bundle = bundle
        self.store = store
        self._key = key
        self._withdrawn = withdrawn
        self._features = _features_of(bundle)
        # Scores of tags are features that nothing computes here: without them the answers would be silently worse.
        wanted = set(bundle.model.features) ^ set(self._features.columns) | set(self._features.patterns)
        if wanted or self._features.columns != tuple(bundle.model.features):
            raise BundleError(
                f"bundle {bundle.version} reads other features than this version of zhongcao computes",
                value=sorted(wanted)[:5],
                next_step="run `zhongcao train conversion` again",
            )
        self._lock = Lock()
        self._facts: SharedFacts | None = None

    def check(self) -> HistoryInfo:
        """Return what the store holds, once it is sure that it can be read.

        Raises
        ------
        StoreError
            The store is missing, empty, or was filled by another version.
        """
        info = self.store.describe()
        if not info.schema.equals(ACTS_SCHEMA, check_metadata=True):
            raise StoreError(
                "the store of histories was filled by another version of zhongcao",
                next_step="run `zhongcao fill` to fill it anew",
            )
        return info

    def answer(self, asked: ConversionsRequest, now: int) -> ConversionsAnswer:
        """Return the probabilities and the expected value of each candidate.

        Parameters
        ----------
        asked
            Person, candidates and context.
        now
            Instant that is answered for where the context names none, epoch seconds.

        Raises
        ------
        RequestError
            The context's time lies before the fill, or the window is another than the model's.
        StoreError
            The store of histories cannot be read.
        """
        self._check_window(asked.window_days)
        rows = self.rows(asked, now)
        return ConversionsAnswer(
            model=self.bundle.version,
            person=asked.person.model_dump(),
            known=rows.known,
            as_of=rows.facts.as_of,
            time=int(rows.impressions.times[0]),
            window_days=dict(self.bundle.model.window_days),
            currency=rows.facts.currency,
            candidates=self._candidates(rows),
        )

    def rows(self, asked: ConversionsRequest, now: int) -> AskedRows:
        """Return the rows that the model is asked with; parameters and errors as for `answer`."""
        person = self._key_of(asked.person)
        found, facts = self._look_up(person)
        # A server whose clock is behind the fill's answers as of the fill.
        time = max(now, facts.as_of) if asked.context.time is None else asked.context.time
        if time < facts.as_of:
            raise RequestError(
                "context.time lies before what is known: an answer would look into its future",
                valid=[f"{facts.as_of} or later"],
            )
        impressions = impressions_of(
            asked.candidates,
            facts.notes,
            person=person,
            context=asked.context,
            time=time,
            timezone=facts.timezone,
        )
        acts = acts_of(found.events[0], code_of(person))
        history = History(self._features.people(acts, facts.timezone), facts.tallies)
        matrix = impression_rows(self._features, history, impressions)
        return AskedRows(facts, found.events[0] is not None, impressions, matrix)

    def _candidates(self, rows: AskedRows) -> list[CandidateAnswer]:
        model, facts, table = self.bundle.model, rows.facts, rows.impressions.table
        probabilities = model.predict(rows.matrix)
        sale = model.targets.index(_SALE) if _SALE in model.targets else None
        notes = table["note"].to_pylist()
        described = (table[name].to_pylist() for name in ("price", "brand", "category"))
        answers = []
        for number, (note, place, row, price, brand, category) in enumerate(
            zip(notes, facts.notes.places(notes), probabilities.round(_DIGITS).tolist(), *described, strict=True)
        ):
            worth = facts.order_values.of(price, brand, category)
            expected = None
            if worth.value is not None and sale is not None:
                expected = round(float(probabilities[number, sale]) * worth.value, _DIGITS)
            chances = dict(zip(model.targets, row, strict=True))
            answers.append(CandidateAnswer(note, bool(place >= 0), chances, expected, worth.value, worth.told_by))
        return answers

    def _check_window(self, days: float | None) -> None:
        windows = self.bundle.model.window_days
        trained = windows.get(_SALE, max(windows.values()))
        if days is not None and days != trained:
            raise RequestError(
                "the model was trained for another window_days; each target's own is in the answer",
                valid=[f"{trained:g}"],
            )

    def _key_of(self, someone: AccountRef | PersonRef) -> str:
        if isinstance(someone, PersonRef):
            return someone.person
        return self.store.resolve([account_key(self._key, someone.platform, someone.account)])[0]

    def _look_up(self, person: str) -> tuple[Found, SharedFacts]:
        """Return the person's history and the facts of the same fill."""
        asked = [] if person in self._withdrawn() else [person]
        while True:
            found, facts = self.store.get(asked), self._facts
            if facts is not None and facts.fill == found.fill:
                return Found(found.fill, found.as_of, found.events or [None]), facts
            self._read_facts()

    def _read_facts(self) -> None:
        with self._lock:
            # Whoever waited for the lock may find that another request has read them.
            if self._facts is None or self._facts.fill != self.store.get([]).fill:
                self.check()
                self._facts = SharedFacts.of(self.store.shared())


def _features_of(bundle: ConversionsBundle) -> ImpressionFeatures:
    try:
        return ImpressionFeatures.of_json(bundle.about["features"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"bundle {bundle.version} declares its features as another version of zhongcao does",
            next_step="run `zhongcao train conversion` again",
        ) from error
