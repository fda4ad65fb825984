"""The scorer: from people to their tags, without any web framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from features.people.identity import account_key
from features.taxonomy.taxonomy import Taxonomy
from serving.messages.schemas import AccountRef, FactorAnswer, PersonAnswer, PersonRef, TagAnswer
from serving.online.store import OnlineStore, StoredRow, StoreInfo
from serving.predictions.record import Keeps, Made, left_out
from serving.scoring.tag_texts import TagTexts
from serving.words.factors import Vocabulary, in_words
from training.tags.explain import Factor

_PEOPLE_PER_BLOCK: Final = 128
_DIGITS: Final = 6
_NO_SCORES: Final = np.empty(0)


class Layout(Protocol):
    """What the scorer needs to know of a row layout."""

    @property
    def schema_hash(self) -> str: ...  # noqa: D102

    @property
    def width(self) -> int: ...  # noqa: D102


class Model(Protocol):
    """What the scorer needs of a tag model."""

    @property
    def assign_at(self) -> NDArray[np.float64]:
        """Probability from which each tag is assigned, [T]."""

    @property
    def active(self) -> NDArray[np.bool_]:
        """Tags that were learned, [T]."""

    @property
    def base_rates(self) -> NDArray[np.float64]:
        """Share of people for whom each tag came true, [T]."""

    def predict(self, rows: NDArray[np.float32], /) -> NDArray[np.float64]:
        """Return probabilities [n, T]; NaN for tags that were not learned."""

    def explain(self, row: NDArray[np.float32], tags: Sequence[int], /) -> list[list[Factor]]:
        """Return the strongest factors of each tag."""


class ScoringBundle(Protocol):
    """What the scorer needs of a bundle; `training.tags.bundle.Bundle` has it."""

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def as_of(self) -> int: ...  # noqa: D102

    @property
    def taxonomy(self) -> Taxonomy: ...  # noqa: D102

    @property
    def layout(self) -> Layout: ...  # noqa: D102

    @property
    def model(self) -> Model: ...  # noqa: D102


class Scorer:
    """Answers which tags people have.

    Any number of threads may call it at once.

    Parameters
    ----------
    bundle
        Model, taxonomy and row layout.
    store
        Rows of that layout.
    key
        Installation key that account ids are hashed with.
    withdrawn
        Tells whose row must not be used, as of now, by keys of persons and accounts: they are unknown.
    deleted_tags
        Tells which tags must not be inferred of whom, as of now, by the same keys.

    Raises
    ------
    StoreError
        The store is missing, empty, or holds rows of another layout than the bundle's.
    """

    def __init__(
        self,
        bundle: ScoringBundle,
        store: OnlineStore,
        key: bytes,
        withdrawn: Callable[[], AbstractSet[str]] = frozenset,
        deleted_tags: Callable[[], Mapping[str, AbstractSet[str]]] = dict,
    ) -> None:
        self.bundle = bundle
        self.store = store
        self._key = key
        self._withdrawn = withdrawn
        self._deleted_tags = deleted_tags
        self._numbers = {tag.id: number for number, tag in enumerate(bundle.taxonomy.tags)}
        self._texts = TagTexts(bundle.taxonomy.tags)
        self._vocabulary = Vocabulary.of(bundle.taxonomy)
        self.check()

    def check(self) -> StoreInfo:
        """Return what the store holds, once it is sure that the bundle can read it.

        Raises
        ------
        StoreError
            The store is missing, empty, or holds rows of another layout than the bundle's.
        """
        info = self.store.describe()
        self._check_layout(info.schema_hash)
        return info

    def tags(
        self,
        people: Sequence[AccountRef | PersonRef],
        *,
        top: int = 20,
        min_probability: float = 0.0,
        explain: bool = False,
        log: Keeps | None = None,
    ) -> list[PersonAnswer]:
        """Return each person's most probable tags.

        Parameters
        ----------
        people
            Whom, by account or by person key.
        top
            Most tags per person.
        min_probability
            Tags below it are left out.
        explain
            Whether to say why, in words.
        log
            Names each person's prediction and keeps a sample of them; without, they have no ids.

        Returns
        -------
        list of PersonAnswer
            In the order asked. Who is not in the store, or has withdrawn consent, gets status ``unknown`` and
            no tags.
        """
        answers = []
        for sent, row, chosen, scores, prediction in self._scored(people, top, min_probability, log):
            if row is None:
                answers.append(PersonAnswer(sent, "unknown", None, []))
                continue
            tags = self._tags(chosen, scores)
            if explain:
                for tag, factors in zip(tags, self.bundle.model.explain(row.vector, chosen), strict=True):
                    tag.factors = [self._factor(factor) for factor in factors]
            answers.append(PersonAnswer(sent, "known", row.as_of, tags, prediction))
        return answers

    def written(
        self,
        people: Sequence[AccountRef | PersonRef],
        *,
        top: int = 20,
        min_probability: float = 0.0,
        log: Keeps | None = None,
    ) -> dict[str, Any]:
        """Return what orjson writes as the `TagsAnswer` of `tags` without reasons: the same bytes, sooner.

        Parameters
        ----------
        people, top, min_probability, log
            As for `tags`.
        """
        said = [
            {
                "person": sent,
                "status": "unknown" if row is None else "known",
                "as_of": None if row is None else row.as_of,
                "tags": self._texts.written(chosen, *self._answered(chosen, scores)),
                "prediction_id": prediction,
            }
            for sent, row, chosen, scores, prediction in self._scored(people, top, min_probability, log)
        ]
        return {"model": self.bundle.version, "people": said}

    def _scored(
        self, people: Sequence[AccountRef | PersonRef], top: int, min_probability: float, log: Keeps | None
    ) -> Iterator[tuple[dict[str, Any], StoredRow | None, list[int], NDArray[np.float64], str | None]]:
        """Yield who was asked for, their row, the tags to answer, all scores and the prediction's id."""
        names, keys = self._keys(people)
        withdrawn, deleted = self._withdrawn(), self._deleted_tags()
        found = self.store.get(keys)
        rows = [
            None if name in withdrawn or key in withdrawn else row
            for name, key, row in zip(names, keys, found, strict=True)
        ]
        probabilities = self._probabilities([row for row in rows if row is not None])
        said: dict[str, object] = {"top": top, "min_probability": min_probability}
        for asked, name, key, row in zip(people, names, keys, rows, strict=True):
            sent = asked.model_dump()
            if row is None:
                yield sent, None, [], _NO_SCORES, None
                continue
            scores = next(probabilities)
            gone = sorted(deleted.get(name, frozenset()) | deleted.get(key, frozenset())) if deleted else []
            scores = self._without(scores, gone)
            chosen = self._chosen(scores, top, min_probability)
            made = partial(
                self._made, person=key, row=row, scores=scores, chosen=chosen, asked=said | left_out(gone)
            )
            yield sent, row, chosen, scores, None if log is None else log.keep(made)

    def refused(self, people: Sequence[AccountRef | PersonRef]) -> bool:
        """Tell whether any of some people has withdrawn consent or opted out."""
        names, keys = self._keys(people)
        withdrawn = self._withdrawn()
        return any(key in withdrawn for key in (*names, *keys))

    def _made(
        self,
        name: str,
        *,
        person: str,
        row: StoredRow,
        scores: NDArray[np.float64],
        chosen: Sequence[int],
        asked: Mapping[str, object],
    ) -> Made:
        return Made(
            id=name,
            kind="tags",
            person=person,
            model=self.bundle.version,
            schema=row.schema_hash,
            source=row.fill,
            as_of=row.as_of,
            watermark=row.arrived_at,
            filled_at=row.filled_at,
            seq=row.seq,
            asked=asked,
            answer=self._tags(chosen, scores),
            features=row.vector,
            scores=scores.copy(),  # it is a row of a block that would be kept whole
        )

    def _keys(self, people: Sequence[AccountRef | PersonRef]) -> tuple[list[str], list[str]]:
        """Return the key that each is asked for by, and the one that the row lies under."""
        by_account = [isinstance(p, AccountRef) for p in people]
        names = [
            account_key(self._key, p.platform, p.account) if isinstance(p, AccountRef) else p.person for p in people
        ]
        persons = iter(self.store.resolve([name for name, linked in zip(names, by_account, strict=True) if linked]))
        return names, [next(persons) if linked else name for name, linked in zip(names, by_account, strict=True)]

    def _without(self, scores: NDArray[np.float64], deleted: Sequence[str]) -> NDArray[np.float64]:
        places = [self._numbers[tag] for tag in deleted if tag in self._numbers]
        if not places:
            return scores
        left = scores.copy()
        left[places] = np.nan
        return left

    def _probabilities(self, rows: Sequence[StoredRow]) -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(rows), _PEOPLE_PER_BLOCK):
            block = rows[start : start + _PEOPLE_PER_BLOCK]
            self._check_layout(block[0].schema_hash)
            yield from self.bundle.model.predict(np.stack([row.vector for row in block]))

    @staticmethod
    def _chosen(scores: NDArray[np.float64], top: int, min_probability: float) -> list[int]:
        # Comparing with NaN is false, so tags that were not learned are never among them.
        enough = np.nonzero(scores >= min_probability)[0]
        order = np.argsort(-scores[enough], kind="stable")[:top]
        numbers: list[int] = enough[order].tolist()
        return numbers

    def _answered(self, chosen: Sequence[int], scores: NDArray[np.float64]) -> tuple[list[float], list[bool]]:
        """Return the probabilities of some tags as they are told, and which are high enough."""
        places = np.array(chosen, np.intp)
        probabilities = scores[places]
        assigned = probabilities >= np.asarray(self.bundle.model.assign_at)[places]
        return probabilities.round(_DIGITS).tolist(), assigned.tolist()

    def _tags(self, chosen: Sequence[int], scores: NDArray[np.float64]) -> list[TagAnswer]:
        known = self.bundle.taxonomy.tags
        return [
            TagAnswer((tag := known[number]).id, tag.name, tag.name_zh, probability, reached, None)
            for number, probability, reached in zip(chosen, *self._answered(chosen, scores), strict=True)
        ]

    def _factor(self, factor: Factor) -> FactorAnswer:
        return FactorAnswer(
            words=in_words(factor.feature, factor.value, self._vocabulary, "en"),
            words_zh=in_words(factor.feature, factor.value, self._vocabulary, "zh"),
            feature=factor.feature,
            value=float(factor.value) if np.isfinite(factor.value) else None,
            effect=round(float(factor.effect), _DIGITS),
        )

    def _check_layout(self, stored: str) -> None:
        if stored != self.bundle.layout.schema_hash:
            raise StoreError(
                "the online store's rows do not follow the layout of the bundle",
                value=stored,
                valid=[self.bundle.layout.schema_hash],
                next_step="run `zhongcao retrain` to fill the store for this bundle",
            )
