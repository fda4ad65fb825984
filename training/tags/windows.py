"""The data of one instant: everybody's wide rows, their outcomes where mature, and the fitted transforms."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from features.days import DAY_SECONDS
from features.durable import publish
from features.locks import exclusive
from features.people.population import population
from features.rows.build import people_at_once, row_blocks
from features.rows.files import save_blocks
from features.rows.fitted import fit_affinities
from features.rows.layout import RowLayout
from features.rows.outcomes import fit_thresholds, label_history, outcomes
from features.rows.thresholds import Thresholds
from features.spine import Spine
from features.taxonomy.taxonomy import Taxonomy
from training.code import code_version
from training.quality.metrics import Labels
from training.source import LogSource
from training.tags.outlook import Moments
from training.tags.outlook_fit import fit_outlook, window_moments
from training.tags.pairs import Fitted, Matrix, PairView, Window
from training.tags.statics import tag_statics

HISTORY_CELLS: Final = 32_000_000
"""Most values of past labels that are held at once: 128 MB of float32, and as much again while they are made."""
_GONE: Final = ".gone-"
_MOMENTS: Final = "moments.npz"


class WindowBuilder:
    """Builds windows of one version of the log and keeps them on disk, so that a rerun reads them back.

    Parameters
    ----------
    source
        What is read.
    taxonomy
        The tags.
    layout
        Columns of the wide rows.
    cache
        Folder of finished windows, by version of the data; each is keyed by everything that it depends on.
    kinds
        Who counts: people with an event of these kinds before the instant; None for any event.
    course
        Instants that the outlook of a later one may be fitted on, once their windows are over.
    delay
        Seconds after a window's end until its events have arrived.
    """

    def __init__(
        self,
        source: LogSource,
        taxonomy: Taxonomy,
        layout: RowLayout,
        cache: Path,
        kinds: tuple[str, ...] | None = None,
        *,
        course: Sequence[int] = (),
        delay: int = 0,
    ) -> None:
        self.source = source
        self.kinds = kinds
        self.taxonomy = taxonomy
        self.layout = layout
        self._course = sorted(course)
        self._over = taxonomy.horizon_days * DAY_SECONDS + delay
        self._view = PairView(layout, taxonomy)
        self._all = cache
        self._cache = cache / source.data_version

    @contextmanager
    def beside(self) -> Iterator[WindowBuilder]:
        """Yield the same builder for another thread, which reads the log on a connection of its own."""
        builder = copy(self)
        builder.source = self.source.beside()
        with builder.source.con:
            yield builder

    def build(self, instant: int, labels_known_at: int | None = None) -> Window:
        """Return the window of `instant`, from the cache where it is there.

        Parameters
        ----------
        instant
            Features use only what had happened before it and had arrived by then.
        labels_known_at
            Outcomes use what had arrived by then; None for no labels.
        """
        window = self._measured(instant, labels_known_at)
        (window,) = self.with_outlooks(
            [window], {before: self.moments(before) for before in self._over_by(instant)}
        )
        return window

    def when_over(self, instant: int) -> Window:
        """Return the window with the outcomes that had arrived when it was over, and without an outlook."""
        return self._measured(instant, instant + self._over)

    def moments(self, instant: int) -> Moments:
        """Return what a window taught, judged by what had arrived when it was over."""

        def compute(work: Path) -> None:
            moments = window_moments(self._view, self.when_over(instant))
            np.savez(work / _MOMENTS, squares=moments.squares, outcomes=moments.outcomes)

        folder = self._ready(self._moments_key(instant), compute)
        with np.load(folder / _MOMENTS, allow_pickle=False) as kept:
            return Moments(kept["squares"], kept["outcomes"])

    def with_outlooks(
        self, windows: Sequence[Window], taught: Mapping[int, Moments], view: PairView | None = None
    ) -> list[Window]:
        """Return windows with other outlooks, each fitted on what was over by its instant.

        Parameters
        ----------
        windows
            Any.
        taught
            Instant → moments of its window, of those that may be learned from.
        view
            Whose terms the moments are of; all terms by default.
        """
        outlooks = [
            fit_outlook(
                view or self._view, [m for before, m in taught.items() if before + self._over <= window.instant]
            )
            for window in windows
        ]
        return [
            replace(window, fitted=replace(window.fitted, outlook=outlook))
            for window, outlook in zip(windows, outlooks, strict=True)
        ]

    def rows(self, instant: int) -> tuple[list[str], Matrix]:
        """Return people's keys, sorted, and their wide rows, memory-mapped, from the cache where they are there."""
        folder = self._ready(self.rows_key(instant), lambda work: self._compute_rows(instant, work))
        rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        return pq.read_table(folder / "persons.parquet").column("person").to_pylist(), rows

    def is_built(self, instant: int, labels_known_at: int | None = None) -> bool:
        """Tell whether the window is in the cache."""
        keys = [self.rows_key(instant), *map(self._moments_key, self._over_by(instant))]
        if labels_known_at is not None:
            keys.append(self._labels_key(instant, labels_known_at))
        return all((self._cache / key).exists() for key in keys)

    def forget_older(self) -> None:
        """Delete the windows of other versions of the data, which no run will ask for again."""
        for folder in sorted(path for path in self._all.iterdir() if path.is_dir()):
            if folder.name != self._cache.name:
                # A deletion that is cut off must not leave half a window under a name that is looked for.
                gone = (
                    folder if folder.name.startswith(_GONE) else folder.rename(self._all / f"{_GONE}{folder.name}")
                )
                shutil.rmtree(gone, ignore_errors=True)

    def _measured(self, instant: int, labels_known_at: int | None) -> Window:
        """Return the window without an outlook."""
        persons, rows = self.rows(instant)
        labels: Labels | None = None
        if labels_known_at is not None:
            known_at = self._settled(instant, labels_known_at)
            folder = self._ready(
                self._labels_key(instant, known_at), lambda work: self._compute_labels(instant, known_at, work)
            )
            labels = np.load(folder / "labels.npy", allow_pickle=False)
        affinities, statics = fit_affinities(self.layout, rows), tag_statics(self.layout, self.taxonomy, rows)
        return Window(instant, persons, rows, labels, Fitted(affinities, statics, fit_outlook(self._view, [])))

    def _over_by(self, instant: int) -> list[int]:
        return [before for before in self._course if before + self._over <= instant]

    def _settled(self, instant: int, known_at: int) -> int:
        """Return the earliest instant by which as much was known of all that labels read as at `known_at`."""
        # Rules may look back from the window: what happened before it and was told late counts, too.
        end = instant + self.taxonomy.horizon_days * DAY_SECONDS
        return min(known_at, max(instant, self.source.last_arrival(end)))

    def _compute_rows(self, instant: int, work: Path) -> None:
        spine = self.spine(instant)
        thresholds = fit_thresholds(self.taxonomy, self.source.events, spine)
        blocks = wide_rows(self.taxonomy, self.layout, self.source.events, spine, thresholds)
        save_blocks(work / "rows.npy", (len(spine), self.layout.width), blocks)
        pq.write_table(spine.rows.select(["person"]), work / "persons.parquet")

    def _compute_labels(self, instant: int, known_at: int, work: Path) -> None:
        spine = self.spine(instant)
        thresholds = fit_thresholds(self.taxonomy, self.source.events, spine)
        labels = outcomes(self.taxonomy, self.source.events, spine.known(known_at), thresholds)
        np.save(work / "labels.npy", labels)

    def _ready(self, key: str, compute: Callable[[Path], None]) -> Path:
        """Return the folder of that key, computing its files first where it is not there."""
        folder = self._cache / key
        if not folder.exists():
            # A second run that wants the same window waits for it instead of building into the same folder.
            with exclusive(folder.with_suffix(".lock")):
                if not folder.exists():
                    work = folder.with_suffix(".part")
                    shutil.rmtree(work, ignore_errors=True)
                    work.mkdir()
                    compute(work)
                    publish(work, folder)
        return folder

    def spine(self, instant: int) -> Spine:
        """Return everybody who counts before `instant`, knowing what had arrived by then."""
        source = self.source
        return population(source.events, source.identities, [instant], source.timezone, kinds=self.kinds)

    def rows_key(self, instant: int) -> str:
        """Return the key of the rows of `instant`: a hash of everything that they depend on."""
        return self._key("rows", self.layout.schema_hash, instant)

    def _labels_key(self, instant: int, known_at: int) -> str:
        return self._key("labels", instant, self._settled(instant, known_at))

    def _moments_key(self, instant: int) -> str:
        return self._key("moments", self.layout.schema_hash, instant, self._over)

    def _key(self, *parts: object) -> str:
        source = self.source
        all_parts = [source.data_version, source.timezone, code_version(), self.taxonomy.hash, self.kinds, *parts]
        return hashlib.sha256(json.dumps(all_parts).encode()).hexdigest()[:24]


def wide_rows(
    taxonomy: Taxonomy, layout: RowLayout, events: Any, spine: Spine, thresholds: Thresholds
) -> Iterator[Matrix]:
    """Yield the wide rows of people in the order of a spine of one instant, some people at a time.

    Parameters
    ----------
    taxonomy, layout
        The tags, and the columns of the rows.
    events
        As `features.rows.batch.aggregate` takes them; they hold all that these people did.
    spine
        For whom and as of when.
    thresholds
        Quantiles of the whole population of the instant.
    """
    at_once = people_at_once(layout)
    # Whole passes of `row_blocks`, as many as bound the history of a block: fewer passes over the events.
    past_cells = max(1, len(layout.tags) * len(layout.tag_names))
    for _, people in spine.chunks(at_once * max(1, HISTORY_CELLS // (at_once * past_cells))):
        history = label_history(taxonomy, events, people, thresholds)
        for _, rows in row_blocks(layout, events, people, history):
            yield rows
