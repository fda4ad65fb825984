"""What new tags are learned and judged on: the champion's windows, and the added columns and labels beside them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.days import DAY_SECONDS
from features.errors import BundleError
from features.rows.layout import RowLayout
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from training.new_tags.log import open_part
from training.new_tags.people import NewTagPeople
from training.source import LogSource, open_source
from training.splits import mature
from training.steps import Steps
from training.tags.binned import Bins, open_bins
from training.tags.bundle import Bundle
from training.tags.pairs import Fitted, Matrix
from training.tags.windows import WindowBuilder

MEASURED: Final = 40_000
"""Most people on whom a new tag is judged; rows of more are not read."""


@dataclass(frozen=True)
class Course:
    """When a champion was trained and what a new tag can be judged on.

    Parameters
    ----------
    train
        Instants of the windows that a new head is fitted on in the end.
    earlier
        Those of them whose outcomes were known at the instant of judging.
    judged
        The latest instant whose outcome window is over.
    known_at
        By when outcomes of that window had to arrive.
    as_of
        Instant of the champion's knowledge.
    outlook
        Instants that outlooks are fitted on.
    delay
        Seconds after a window's end until its events have arrived.
    """

    train: tuple[int, ...]
    earlier: tuple[int, ...]
    judged: int
    known_at: int
    as_of: int
    outlook: tuple[int, ...]
    delay: int

    @classmethod
    def of(cls, bundle: Bundle, last: int) -> Course:
        """Read it from a champion, and from the time of the log's last event.

        Raises
        ------
        BundleError
            The bundle does not say how it was trained.
        """
        try:
            plan, delay = bundle.about["plan"], int(bundle.about["choices"]["delay_days"]) * DAY_SECONDS
            train, choose, validation = plan["train"], plan["choose"], int(plan["validation"])
        except (KeyError, TypeError) as error:
            raise BundleError(
                f"bundle {bundle.version} does not say how it was trained",
                next_step="run `zhongcao retrain`, then add the tag",
            ) from error
        horizon, at = bundle.taxonomy.horizon_days, bundle.as_of
        outlook = tuple(sorted({*train, *choose}))
        if mature(at, horizon, delay, last + 1):
            return cls(tuple(train), tuple(train), at, last + 1, at, outlook, delay)
        return cls(tuple(train), tuple(choose), validation, at, at, outlook, delay)


class NewTagWindows:
    """The champion's windows, with the columns and labels of the added tags.

    Parameters
    ----------
    settings
        Where everything lies.
    bundle
        The champion.
    taxonomy, layout
        With the added tags.
    steps
        Says what has to be computed anew.
    present
        Instant of the rows that are served.
    """

    def __init__(
        self,
        settings: Settings,
        bundle: Bundle,
        taxonomy: Taxonomy,
        layout: RowLayout,
        steps: Steps,
        *,
        present: int,
    ) -> None:
        self.bundle, self.taxonomy, self.layout = bundle, taxonomy, layout
        about = bundle.about
        self._folder = settings.work_dir / "windows"
        self._bins = _bins_folder(settings)
        self._kinds = about.get("choices", {}).get("kinds")
        source = open_part(settings, taxonomy, layout, str(about.get("data_version")))
        self.course = Course.of(bundle, source.last)
        instants = sorted({*self.course.train, self.course.judged, self.course.as_of})
        self.builder = self._builder(source)
        if all(self.builder.is_built(instant) for instant in instants):
            self.people = self._people(source, instants, present)
            if self.people.whole:
                return
        steps.say("the champion's windows are not kept any more, or people were erased since: computed anew")
        source = open_source(settings)
        self.builder = self._builder(source)
        with steps.step("features of the champion's windows", len(instants)) as advance:
            for instant in instants:
                self.builder.rows(instant)
                advance()
        self.people = self._people(source, instants, present)

    def rows(self, instant: int) -> Matrix:
        """Return everybody's rows of the champion's base layout, memory-mapped."""
        return self.builder.rows(instant)[1]

    def fitted(self, instant: int) -> Fitted:
        """Return the fitted transforms of the champion's base layout as of an instant."""
        return self.builder.build(instant).fitted

    def bins(self, instants: Sequence[int], max_bin: int) -> Bins:
        """Return the head columns of some windows as bins, kept for the next new tag."""
        columns = self.layout.head_columns
        keys = [*(self.builder.rows_key(instant) for instant in instants), columns.tolist()]
        folder = self._bins / hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:24]
        return open_bins(folder, lambda: [self.rows(t) for t in instants], columns, max_bin=max_bin)

    def _builder(self, source: LogSource) -> WindowBuilder:
        kinds = None if self._kinds is None else tuple(self._kinds)
        return WindowBuilder(
            source,
            self.bundle.taxonomy.base,
            self.bundle.layout.base,
            self._folder,
            kinds,
            course=self.course.outlook,
            delay=self.course.delay,
        )

    def _people(self, source: LogSource, instants: Sequence[int], present: int) -> NewTagPeople:
        windows = {instant: self.builder.rows(instant)[0] for instant in instants}
        return NewTagPeople(source, self.taxonomy, self.layout, windows, present=present, kinds=self.builder.kinds)


def forget_bins(settings: Settings) -> None:
    """Delete the bins that new tags of earlier champions left; the next new tag makes its own."""
    shutil.rmtree(_bins_folder(settings), ignore_errors=True)


def _bins_folder(settings: Settings) -> Path:
    return settings.work_dir / "bins"
