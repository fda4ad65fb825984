"""Conversion predictions: from a person and candidate notes to what would follow, without any web framework."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError, RequestError, StoreError
from features.impressions.features import ImpressionFeatures
from features.impressions.tag_scores import ScoredTags, TagScores
from features.people.acts import code_of
from features.people.identity import account_key
from serving.histories.kept_facts import KeptFacts
from serving.histories.packed import acts_of
from serving.histories.shared_facts import SharedFacts
from serving.histories.store import Found, HistoryInfo, HistoryStore
from serving.messages.conversion_schemas import (
    CandidateAnswer,
    ConversionsAnswer,
    ConversionsRequest,
    NoExpectedValue,
)
from serving.messages.schemas import AccountRef, PersonRef
from serving.predictions.record import Keeps, Made, left_out
from serving.scoring.candidates import AskedCandidates, impressions_of
from serving.scoring.reasons import SALE, explain_best, target_to_explain

_DIGITS: Final = 9


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

    @property
    def tags(self) -> ScoredTags | None: ...  # noqa: D102

    @property
    def tags_bundle(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class AskedRows:
    """What the model is asked with.

    Parameters
    ----------
    facts
        What is known of notes.
    as_of
        Instant of what is known of the person and of notes, of the earlier one where they differ.
    person
        Key of the person; None where nothing is known of them.
    found
        What the store of histories knew of the person, and of which fill.
    left_out
        Tags that the person has deleted, ascending.
    asked
        The candidates as n impressions of one person at one instant.
    matrix
        Their rows, float32 [n, features].
    """

    facts: SharedFacts
    as_of: int
    person: str | None
    found: Found
    left_out: list[str]
    asked: AskedCandidates
    matrix: NDArray[np.float32]

    @property
    def known(self) -> bool:
        """Whether anything is known of the person."""
        return self.person is not None


class ConversionScorer:
    """Answers what would follow if a person saw some notes.

    Any number of threads may call it at once. A fill of the store is noticed by the next request; what it knows of
    notes is read beside the requests, which are answered from the earlier fill's until then.

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
    deleted_tags
        Tells which tags must not be inferred of whom, as of now, by keys of persons and accounts.

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
        deleted_tags: Callable[[], Mapping[str, AbstractSet[str]]] = dict,
    ) -> None:
        self.bundle = bundle
        self.store = store
        self._key = key
        self._withdrawn = withdrawn
        self._deleted_tags = deleted_tags
        self._features = _features_of(bundle)
        # Without the scores that it was trained with, the answers would be silently worse.
        scored = set() if bundle.tags is None else set(bundle.tags.patterns)
        wanted = set(bundle.model.features) ^ set(self._features.columns) | set(self._features.patterns) - scored
        if wanted or self._features.columns != tuple(bundle.model.features):
            raise BundleError(
                f"bundle {bundle.version} reads other features than this version of zhongcao computes",
                value=sorted(wanted)[:5],
                next_step="run `zhongcao train conversion` again",
            )
        self._facts = KeptFacts(store, self._features)
        self._schema = hashlib.sha256("\x1f".join(bundle.model.features).encode()).hexdigest()[:16]

    def check(self) -> HistoryInfo:
        """Return what the store holds, once it is sure that it can be read.

        Raises
        ------
        StoreError
            The store is missing, empty, or was filled by another version or for other tag models.
        """
        info = self._facts.check()
        self._check_scores(info.scored_by)
        return info

    def warm(self) -> None:
        """Read what the first answer would have to wait for; raises as `check`."""
        self._facts.read()

    def answer(self, asked: ConversionsRequest, now: int, log: Keeps | None = None) -> ConversionsAnswer:
        """Return the probabilities and the expected value of each candidate.

        Parameters
        ----------
        asked
            Person, candidates and context.
        now
            Instant that is answered for where the context names none, epoch seconds.
        log
            Names the prediction and keeps a sample of them; without, it has no id.

        Raises
        ------
        RequestError
            The context's time lies before the fill, the window is another than the model's, or the model lacks the
            target to explain.
        StoreError
            The store of histories cannot be read, or was filled for other tag models.
        """
        model = self.bundle.model
        self._check_window(asked.window_days)
        explained = target_to_explain(asked, model.targets)
        rows = self.rows(asked, now)
        candidates = self._candidates(rows)
        if explained is not None:
            explain_best(candidates, asked, explained, model, rows=rows.matrix, notes=rows.facts.notes)
        made = partial(self._made, asked=asked, rows=rows, candidates=candidates)
        return ConversionsAnswer(
            model=self.bundle.version,
            person=asked.person.model_dump(),
            known=rows.known,
            as_of=rows.as_of,
            person_as_of=rows.found.fresh,
            time=rows.asked.numbers.time,
            window_days=dict(model.window_days),
            currency=rows.facts.currency,
            candidates=candidates,
            explained=explained,
            prediction_id=None if log is None else log.keep(made),
        )

    def rows(self, asked: ConversionsRequest, now: int) -> AskedRows:
        """Return the rows that the model is asked with; parameters and errors as for `answer`."""
        name, person = self._keys_of(asked.person)
        withdrawn = self._withdrawn()
        found = self.store.get([] if person in withdrawn or name in withdrawn else [person])
        deleted = self._deleted_tags()
        gone = sorted(deleted.get(name, frozenset()) | deleted.get(person, frozenset())) if deleted else []
        self._check_scores(found.scored_by)
        facts, rows = self._facts.of(found, now)
        [history], [scores] = found.events or [None], found.scores or [None]
        known_until = max(found.as_of, facts.as_of)
        # A server whose clock is behind the fill's answers as of the fill.
        time = max(now, known_until) if asked.context.time is None else asked.context.time
        if time < known_until:
            raise RequestError(
                "context.time lies before what is known: an answer would look into its future",
                valid=[f"{known_until} or later"],
            )
        candidates = impressions_of(
            asked.candidates,
            facts.notes,
            context=asked.context,
            time=time,
            timezone=facts.timezone,
            platforms=self._features.platforms,
        )
        code = code_of(person)
        matrix = rows.rows(
            acts_of(history, code),
            candidates.numbers,
            self._scores(person, scores, found.as_of, gone),
            person=code,
        )
        known = None if history is None else person
        return AskedRows(facts, min(found.as_of, facts.as_of), known, found, gone, candidates, matrix)

    def _made(
        self, name: str, *, asked: ConversionsRequest, rows: AskedRows, candidates: list[CandidateAnswer]
    ) -> Made:
        found = rows.found
        said = {
            "candidates": asked.candidates,
            "context": asked.context,
            "time": rows.asked.numbers.time,
            "notes": {"fill": rows.facts.fill, "as_of": rows.facts.as_of, "seq": rows.facts.told},
        } | left_out(rows.left_out)
        return Made(
            id=name,
            kind="conversions",
            person=rows.person,
            model=self.bundle.version,
            schema=self._schema,
            source=found.fill,
            as_of=found.as_of,
            watermark=found.fresh,
            filled_at=found.as_of,
            seq=None if found.live is None else found.live.seq,
            asked=said,
            answer=candidates,
            features=rows.matrix,
            scores=None,
        )

    def _scores(
        self, person: str, scores: NDArray[np.float32] | None, as_of: int, gone: Sequence[str]
    ) -> TagScores | None:
        """Return a person's scores, as of the fill, but for deleted tags; columns are missing as in training."""
        tags = self.bundle.tags
        if tags is None or scores is None:
            return None
        return TagScores(np.array([as_of]), ((person,),), (tags.without(scores[None], gone),), tags)

    def _check_scores(self, scored_by: str) -> None:
        wanted = self.bundle.tags_bundle
        if wanted and scored_by != wanted:
            raise StoreError(
                f"the model reads scores of {wanted}, and the store of histories was filled with "
                f"{f'those of {scored_by}' if scored_by else 'none'}",
                next_step="run `zhongcao fill` to fill it anew",
            )

    def _candidates(self, rows: AskedRows) -> list[CandidateAnswer]:
        model, asked, values = self.bundle.model, rows.asked, rows.facts.order_values
        probabilities = model.predict(rows.matrix)
        targets = model.targets
        chances = [dict(zip(targets, row, strict=True)) for row in probabilities.round(_DIGITS).tolist()]
        worths = [values.of(*sold) for sold in asked.sold]
        expected: list[float | None] = [None] * len(worths)
        lacking: list[NoExpectedValue | None] = ["the model has no target ctcvr"] * len(worths)
        if SALE in targets:
            told = np.array([np.nan if worth.value is None else worth.value for worth in worths])
            products = (probabilities[:, targets.index(SALE)] * told).round(_DIGITS).tolist()
            expected = [None if worth.value is None else e for worth, e in zip(worths, products, strict=True)]
            lacking = ["nothing tells the value of a purchase" if e is None else None for e in expected]
        value, told_by = zip(*worths, strict=True)
        return list(map(CandidateAnswer, asked.notes, asked.known, chances, expected, lacking, value, told_by))

    def _check_window(self, days: float | None) -> None:
        windows = self.bundle.model.window_days
        trained = windows.get(SALE, max(windows.values()))
        if days is not None and days != trained:
            raise RequestError(
                "the model was trained for another window_days; each target's own is in the answer",
                valid=[f"{trained:g}"],
            )

    def _keys_of(self, someone: AccountRef | PersonRef) -> tuple[str, str]:
        """Return the key that somebody is asked for by, and the one that the history lies under."""
        if isinstance(someone, PersonRef):
            return someone.person, someone.person
        account = account_key(self._key, someone.platform, someone.account)
        return account, self.store.resolve([account])[0]


def _features_of(bundle: ConversionsBundle) -> ImpressionFeatures:
    try:
        return ImpressionFeatures.of_json(bundle.about["features"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"bundle {bundle.version} declares its features as another version of zhongcao does",
            next_step="run `zhongcao train conversion` again",
        ) from error
