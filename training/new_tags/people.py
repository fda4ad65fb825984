"""Labels and columns of added tags for people of several instants, in as few passes over the log as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features.people.population import population
from features.rows.build import build_rows
from features.rows.layout import RowLayout
from features.rows.outcomes import fit_thresholds, label_history, outcomes
from features.taxonomy.taxonomy import Taxonomy
from training.quality.metrics import Labels
from training.source import LogSource
from training.tags.pairs import Matrix


class NewTagPeople:
    """Everybody of some instants, and what the added tags say of them.

    Parameters
    ----------
    source
        Holds the events that the tags need.
    taxonomy, layout
        With the added tags.
    windows
        Instant → keys of the people of the champion's window, in the order of its rows.
    present
        Instant for which everybody is taken as the log knows them.
    kinds
        Who counts, as for the champion's windows.
    """

    def __init__(
        self,
        source: LogSource,
        taxonomy: Taxonomy,
        layout: RowLayout,
        windows: Mapping[int, Sequence[str]],
        *,
        present: int,
        kinds: Sequence[str] | None,
    ) -> None:
        self._events, self._added, self._layout = source.events, taxonomy.added, layout.added
        instants = sorted({*windows, present})
        self._spine = population(source.events, source.identities, instants, source.timezone, kinds=kinds)
        self._thresholds = fit_thresholds(self._added, self._events, self._spine)
        persons, moments = self._spine.persons, self._spine.instants
        self._rows: dict[int, NDArray[np.int64]] = {}
        self.whole = True
        """Whether everybody of the windows is in the log."""
        for instant, wanted in windows.items():
            rows = np.flatnonzero(moments == instant)
            if [persons[row] for row in rows] != list(wanted):
                place = {persons[row]: row for row in rows.tolist()}
                rows = np.array([place[person] for person in wanted if person in place], np.int64)
            self._rows[instant] = rows
            self.whole &= len(rows) == len(wanted)
        self._present = np.flatnonzero(moments == present)
        self.persons = [persons[row] for row in self._present]
        """Keys of the people of the present."""

    def labels(self, instants: Sequence[int], known_at: int) -> Labels:
        """Return whether the rules came true for the people of some windows, uint8 [people, added tags].

        Parameters
        ----------
        instants
            Of the windows, one after the other.
        known_at
            Outcomes use what had arrived by then.
        """
        spine = self._spine.take(np.concatenate([self._rows[instant] for instant in instants]))
        return outcomes(self._added, self._events, spine.known(known_at), self._thresholds)

    def columns(self, instants: Sequence[int]) -> tuple[Matrix, list[Matrix]]:
        """Return the added columns, float32 [n, added width], of the present and of some windows."""
        parts = [self._present, *(self._rows[instant] for instant in instants)]
        each, places = np.unique(np.concatenate(parts), return_inverse=True)
        spine = self._spine.take(each)
        history = label_history(self._added, self._events, spine, self._thresholds)
        rows = build_rows(self._layout, self._events, spine, history)[places]
        present, *others = np.split(rows, np.cumsum([len(part) for part in parts])[:-1])
        return present, others
