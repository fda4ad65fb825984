"""Scores as a table: one line per person and tag, as a Parquet file has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serving.online.store import RowBlock
from serving.scoring.scorer import ScoringBundle

DeletedTags: TypeAlias = Mapping[str, AbstractSet[str]]
NO_TAGS: Final[DeletedTags] = MappingProxyType({})


@dataclass(frozen=True)
class ScoreFilter:
    """Which of a person's scores are kept.

    Parameters
    ----------
    top
        Most tags per person, the most probable ones; of equal ones the earlier in the taxonomy. None for all.
    min_probability
        Tags below it are left out.
    """

    top: int | None = None
    min_probability: float = 0.0

    def kept(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which probabilities are kept, [n, T]; never those of tags that were not learned, which are NaN.

        Examples
        --------
        >>> ScoreFilter(top=1, min_probability=0.2).kept(np.array([[0.5, 0.5, np.nan], [0.1, 0.0, np.nan]]))
        array([[ True, False, False],
               [False, False, False]])
        """
        enough: NDArray[np.bool_] = probabilities >= self.min_probability
        if self.top is None or self.top >= probabilities.shape[1]:
            return enough
        strongest = np.argsort(-np.where(enough, probabilities, -1.0), axis=1, kind="stable")[:, : self.top]
        among = np.zeros_like(enough)
        np.put_along_axis(among, strongest, True, axis=1)
        return enough & among


class ScoreTable:
    """Puts the scores of a block of people into a table.

    Parameters
    ----------
    bundle
        Whose tags, thresholds and version.
    chosen
        Which scores are kept.
    echoed
        Names of the columns of an input list that every line repeats.
    deleted
        Key of a person → ids of tags that must not be inferred of them.
    """

    def __init__(
        self,
        bundle: ScoringBundle,
        chosen: ScoreFilter,
        echoed: tuple[str, ...] = (),
        deleted: DeletedTags = NO_TAGS,
    ) -> None:
        self._chosen = chosen
        self._deleted = deleted
        self._numbers = {tag.id: number for number, tag in enumerate(bundle.taxonomy.tags)}
        self._assign_at = bundle.model.assign_at
        self._tags = pa.array([tag.id for tag in bundle.taxonomy.tags], pa.string())
        self._model = pa.array([bundle.version])
        word = pa.dictionary(pa.int32(), pa.string())
        self.schema = pa.schema(
            [
                pa.field("person", word, nullable=False),
                *(pa.field(name, word, nullable=False) for name in echoed),
                pa.field("tag", word, nullable=False),
                pa.field("probability", pa.float32(), nullable=False),
                pa.field("assigned", pa.bool_(), nullable=False),
                pa.field("as_of", pa.int64(), nullable=False),
                pa.field("model", word, nullable=False),
            ]
        )

    def of(self, block: RowBlock, echo: dict[str, pa.Array], probabilities: NDArray[np.float64]) -> pa.Table:
        """Return the lines of a block: person by person, each one's tags in the taxonomy's order.

        Parameters
        ----------
        block
            The people.
        echo
            What the input list said of each, by column.
        probabilities
            float64 [n, T].
        """
        probabilities = self._allowed(block.persons, probabilities)
        people, tags = np.nonzero(self._chosen.kept(probabilities))
        probability = probabilities[people, tags]
        columns = [
            _words(people, pa.array(block.persons, pa.string())),
            *(_words(people, column) for column in echo.values()),
            _words(tags, self._tags),
            pa.array(probability.astype(np.float32)),
            pa.array(probability >= self._assign_at[tags]),
            pa.array(block.as_of[people]),
            _words(np.zeros(len(people)), self._model),
        ]
        return pa.table(columns, schema=self.schema)

    def _allowed(self, persons: Sequence[str], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        forbidden = [
            (row, self._numbers[tag])
            for row, person in enumerate(persons if self._deleted else ())
            for tag in self._deleted.get(person, ())
            if tag in self._numbers
        ]
        if not forbidden:
            return probabilities
        allowed = probabilities.copy()
        allowed[tuple(zip(*forbidden, strict=True))] = np.nan
        return allowed


def _words(numbers: NDArray[np.int64] | NDArray[np.float64], words: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32)), words)
