"""The data of one instant: everybody's wide rows, their outcomes where mature, and the fitted transforms."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from features.durable import publish
from features.fitted import fit_affinities
from features.layout import RowLayout
from features.outcomes import fit_thresholds, label_history, outcomes
from features.population import population
from features.rows import build_rows
from features.spine import Spine
from features.taxonomy import Taxonomy
from features.thresholds import Thresholds
from training.code import code_version
from training.metrics import Labels
from training.pairs import Fitted, Window
from training.source import LogSource
from training.statics import tag_statics

_GONE: Final = ".gone-"


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
    """

    def __init__(
        self,
        source: LogSource,
        taxonomy: Taxonomy,
        layout: RowLayout,
        cache: Path,
        kinds: tuple[str, ...] | None = None,
    ) -> None:
        self.source = source
        self.kinds = kinds
        self.taxonomy = taxonomy
        self.layout = layout
        self._all = cache
        self._cache = cache / source.data_version

    def build(self, instant: int, labels_known_at: int | None = None) -> Window:
        """Return the window of `instant`, from the cache where it is there.

        Parameters
        ----------
        instant
            Features use only what had happened before it and had arrived by then.
        labels_known_at
            Outcomes use what had arrived by then; None for no labels.
        """
        folder = self._cache / self._key(instant, labels_known_at)
        if not folder.exists():
            with self._alone():
                if not folder.exists():
                    self._compute(instant, labels_known_at, folder)
        rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        labels = None if labels_known_at is None else np.load(folder / "labels.npy", allow_pickle=False)
        fitted = Fitted(fit_affinities(self.layout, rows), tag_statics(self.layout, self.taxonomy, rows))
        persons = pq.read_table(folder / "persons.parquet").column("person").to_pylist()
        return Window(instant, persons, rows, labels, fitted)

    def is_built(self, instant: int, labels_known_at: int | None = None) -> bool:
        """Tell whether the window is in the cache."""
        return (self._cache / self._key(instant, labels_known_at)).exists()

    def forget_older(self) -> None:
        """Delete the windows of other versions of the data, which no run will ask for again."""
        for folder in sorted(path for path in self._all.iterdir() if path.is_dir()):
            if folder.name != self._cache.name:
                # A deletion that is cut off must not leave half a window under a name that is looked for.
                gone = (
                    folder if folder.name.startswith(_GONE) else folder.rename(self._all / f"{_GONE}{folder.name}")
                )
                shutil.rmtree(gone, ignore_errors=True)

    def _compute(self, instant: int, labels_known_at: int | None, folder: Path) -> None:
        spine = self.spine(instant)
        thresholds = fit_thresholds(self.taxonomy, self.source.events, spine)
        history = label_history(self.taxonomy, self.source.events, spine, thresholds)
        work = folder.with_suffix(".part")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        np.save(work / "rows.npy", build_rows(self.layout, self.source.events, spine, history))
        if labels_known_at is not None:
            np.save(work / "labels.npy", self._labels(spine, thresholds, labels_known_at))
        pq.write_table(spine.rows.select(["person"]), work / "persons.parquet")
        publish(work, folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A second run that wants the same window waits for it instead of building into the same folder.
        self._cache.mkdir(parents=True, exist_ok=True)
        with (self._cache / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def spine(self, instant: int) -> Spine:
        """Return everybody who counts before `instant`, knowing what had arrived by then."""
        source = self.source
        return population(source.events, source.identities, [instant], source.timezone, kinds=self.kinds)

    def _labels(self, spine: Spine, thresholds: Thresholds, known_at: int) -> Labels:
        return outcomes(self.taxonomy, self.source.events, spine.known(known_at), thresholds)

    def _key(self, instant: int, labels_known_at: int | None) -> str:
        parts = [
            self.source.data_version, self.source.timezone, code_version(), self.taxonomy.hash,
            self.layout.schema_hash, self.kinds, instant, labels_known_at,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
