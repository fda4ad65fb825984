"""Quality by slice: new people and old, little and much activity, platforms, rare tags and common ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.processes import in_threads
from features.spine import Spine
from training.quality.json_figures import from_json
from training.quality.metrics import Floats, Labels, MacroMetrics, macro_metrics, tag_metrics
from training.tags.pairs import Matrix, PairView

Mask = NDArray[np.bool_]

NEW_DAYS: Final = 30
_THIRDS: Final = ("low", "middle", "high")
_RARITY: Final = ("rare", "middle", "common")


@dataclass(frozen=True)
class Slice:
    """Quality on a part of the pairs.

    Parameters
    ----------
    dimension, name
        By what the pairs were parted, and which part this is.
    people
        People with a pair in it.
    metrics
        Of the pairs in it; means are over the tags with pairs in it.
    """

    dimension: str
    name: str
    people: int
    metrics: MacroMetrics

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Slice:
        """Read the JSON form; null is NaN."""
        return cls(
            document["dimension"],
            document["name"],
            document["people"],
            MacroMetrics(**from_json(document["metrics"])),
        )


def measure_slices(
    view: PairView,
    rows: Matrix,
    labels: Labels,
    probabilities: Floats,
    *,
    active: Mask,
    platforms: Mapping[str, Mask],
    threads: int = 1,
) -> list[Slice]:
    """Measure a model's probabilities on every slice of a window.

    Parameters
    ----------
    view
        Knows where the features lie that people are parted by.
    rows
        Wide rows of the window, float32 [n, width].
    labels, probabilities
        Of the tags that were learned, people × tags.
    active
        Tags that were learned, bool [T].
    platforms
        Platform → whether each person was there, bool [n]; parted only where there are several.
    threads
        Slices measured at once.

    Returns
    -------
    list of Slice
        Slices without pairs are left out.
    """

    def measured(part: tuple[str, str, Mask]) -> Slice | None:
        dimension, name, mask = part
        whole = np.broadcast_to(mask if mask.ndim == 2 else mask[:, None], labels.shape)
        if not whole.any():
            return None
        return Slice(dimension, name, int(whole.any(axis=1).sum()), _metrics(labels, probabilities, whole))

    parts = slice_masks(view, rows, active, labels, platforms)
    return [one for one in in_threads(measured, parts, threads) if one is not None]


def platforms_of(events: duckdb.DuckDBPyRelation, spine: Spine) -> dict[str, Mask]:
    """Tell who had been on which platform by the spine's instant.

    Parameters
    ----------
    events
        The log.
    spine
        People as of one instant.

    Returns
    -------
    dict
        Platform → bool [n], by name; a person can be on several.
    """
    if not len(spine):
        return {}
    instant, known_at = int(spine.instants[0]), int(spine.known_at[0])
    known = events.filter(f"event_time < {instant} and arrived_at <= {known_at}")
    table = known.project("account, platform").distinct().to_arrow_table()
    found = table.join(spine.accounts, "account", join_type="inner")
    rows = np.asarray(found["row"])
    names = np.array(found["platform"].to_pylist(), dtype=str)
    return {str(name): np.isin(np.arange(len(spine)), rows[names == name]) for name in np.unique(names)}


def tag_groups(labels: Labels) -> dict[str, Mask]:
    """Part the tags into thirds by how often they came true.

    Parameters
    ----------
    labels
        People × tags.

    Returns
    -------
    dict
        Name with the range of base rates → bool [T]; fewer than three tags are one group.

    Examples
    --------
    >>> groups = tag_groups(np.array([[1, 0, 1], [1, 0, 0]], np.uint8))
    >>> {name: tags.tolist() for name, tags in groups.items()}["rare: 0–0 %"]
    [False, True, False]
    """
    rates = labels.mean(axis=0)
    if len(rates) < len(_RARITY):
        return {"all": np.ones(len(rates), bool)}
    groups = {}
    for name, part in zip(_RARITY, np.array_split(np.argsort(rates, kind="stable"), len(_RARITY)), strict=True):
        low, high = 100 * rates[part[0]], 100 * rates[part[-1]]
        groups[f"{name}: {low:.2g}–{high:.2g} %"] = np.isin(np.arange(len(rates)), part)
    return groups


def slice_masks(
    view: PairView, rows: Matrix, active: Mask, labels: Labels, platforms: Mapping[str, Mask]
) -> Iterator[tuple[str, str, Mask]]:
    """Yield dimension, name and pairs of each slice, bool [n] or [n, T]; parameters as for `measure_slices`."""
    person = {name: view.layout.person(rows)[:, n] for n, name in enumerate(view.layout.person_names)}
    new = ~(np.asarray(person["purchase_tenure_all"]) >= NEW_DAYS * DAY_SECONDS)
    yield "people", f"new: first purchase within {NEW_DAYS} days, or none", new
    yield "people", "known for longer", ~new
    bought = view.layout.scope(rows)[:, :, view.layout.scope_names.index("purchase_days_all")]
    before = np.asarray(bought[:, view.scope_of_tag[active]] > 0)
    yield "history in the tag's scope", "never bought there", ~before
    yield "history in the tag's scope", "bought there before", before
    days = np.nan_to_num(person["purchase_days_90d"])
    # Who has equally many days is in one third, whatever the order of people.
    edges = np.quantile(days, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, days, side="left")
    for number, name in enumerate(_THIRDS):
        part = third == number
        if part.any():
            span = f"{days[part].min():.0f}–{days[part].max():.0f} purchase days in 90"
            yield "activity", f"{name}: {span}", part
    if len(platforms) > 1:
        for name, part in platforms.items():
            yield "platform", name, part
    for name, tags in tag_groups(labels).items():
        yield "tags by base rate", name, np.broadcast_to(tags[None, :], labels.shape)


def _metrics(labels: Labels, probabilities: Floats, mask: Mask) -> MacroMetrics:
    per_tag = [
        tag_metrics(labels[part, tag], probabilities[part, tag]) for tag, part in enumerate(mask.T) if part.any()
    ]
    return macro_metrics(labels[mask], probabilities[mask], per_tag)
