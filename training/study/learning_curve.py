"""What more data brings: the pooled model fitted on fewer people, and on fewer instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from features.rows.fitted import fit_affinities
from training.steps import Advance
from training.study.refits import Refit, Refits
from training.tags.outlook_fit import window_moments
from training.tags.pairs import PairView, Window
from training.tags.statics import tag_statics

PEOPLE_SHARES: Final = (0.1, 0.3)


def instants_counts(available: int) -> list[int]:
    """Return how many instants to try, fewer than there are.

    Examples
    --------
    >>> instants_counts(8), instants_counts(1)
    ([1, 2, 4], [])
    """
    return [2**power for power in range(available.bit_length()) if 2**power < available]


def fewer_people(refits: Refits, advance: Advance) -> list[Refit]:
    """Fit on a tenth and on three tenths of the people, then on all.

    Fitted transforms are those of the same people, the outlook included; everybody is scored. The tenth is a part
    of the three tenths.

    Parameters
    ----------
    refits
        Knows the windows, and fits.
    advance
        Called after each fit.
    """
    known = {person for window in (*refits.choose, refits.validation) for person in window.persons}
    # Keys are pseudonyms from a keyed hash: sorted, then shuffled by the seed, they are a random order of people.
    drawn = np.random.default_rng(refits.seed).permutation(np.array(sorted(known)))
    found = []
    for share in PEOPLE_SHARES:
        some = drawn[: max(1, round(share * len(drawn)))]
        name = f"{100 * share:.0f} % of people"
        taught = {
            window.instant: window_moments(
                refits.view, of_people(refits.view, refits.builder.when_over(window.instant), some)
            )
            for window in refits.choose
        }
        measured = [of_people(refits.view, window, some) for window in (*refits.choose, refits.validation)]
        *windows, validation = refits.builder.with_outlooks(measured, taught)
        found.append(refits.refit(name, windows=windows, fitted=validation.fitted))
        advance()
    return [*found, replace(refits.whole(), name="all people")]


def fewer_instants(refits: Refits, advance: Advance) -> list[Refit]:
    """Fit on the latest instant, the latest two, four and so on, then on all.

    Outlooks are fitted on the windows of the same instants.

    Parameters
    ----------
    refits, advance
        As in `fewer_people`.
    """
    found = []
    for count in instants_counts(len(refits.choose)):
        name = "1 instant" if count == 1 else f"{count} instants"
        latest = refits.choose[-count:]
        taught = {window.instant: refits.builder.moments(window.instant) for window in latest}
        *windows, validation = refits.builder.with_outlooks([*latest, refits.validation], taught)
        found.append(refits.refit(name, windows=windows, fitted=validation.fitted))
        advance()
    return [*found, replace(refits.whole(), name=f"all {len(refits.choose)} instants")]


def of_people(view: PairView, window: Window, persons: Sequence[str] | np.ndarray) -> Window:
    """Return the window as it were if there were only these people: rows, labels, affinities and statics.

    The outlook is kept: it takes the windows of other instants to fit another.

    Parameters
    ----------
    view
        Knows the layout and the taxonomy.
    window
        Of everybody.
    persons
        Keys of those who stay; who was not there is passed over.
    """
    kept = np.nonzero(np.isin(np.array(window.persons), persons))[0]
    rows = np.asarray(window.rows[kept])
    fitted = replace(
        window.fitted,
        affinities=fit_affinities(view.layout, rows),
        statics=tag_statics(view.layout, view.taxonomy, rows),
    )
    labels = None if window.labels is None else window.labels[kept]
    return Window(window.instant, [window.persons[place] for place in kept.tolist()], rows, labels, fitted)
