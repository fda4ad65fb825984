"""A kept prediction in words, for whoever is asked why it was made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import ZhongcaoError
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.predictions.record import Prediction
from serving.words.factors import Vocabulary, in_words
from training.tags.bundle import Bundle, load_bundle

_FACTORS: Final = 3


def facts_in_words(found: Prediction) -> list[tuple[str, str]]:
    """Return what is known of the making of a prediction, as pairs of name and words."""
    of = found.origin
    shape = " x ".join(map(str, found.shape))
    live = "no live events since" if found.seq is None else f"live events up to number {found.seq}"
    facts = [
        ("prediction", found.id),
        ("made", time_in_words(found.made_at)),
        ("person", found.person or "nobody who is known"),
        ("model", f"{of.model}, manifest {of.manifest[:12] or 'not found'}"),
        ("code", of.code),
        ("data", of.source),
        ("filled", f"as of {time_in_words(found.filled_at)}, {live}"),
        ("as of", f"{time_in_words(found.as_of)}; what arrived by {time_in_words(found.watermark)}"),
        ("features", f"{shape}, layout {of.schema}, {'kept' if found.features is not None else 'not kept'}"),
        ("hashes", f"features {found.features_hash[:12]}, scores {(found.scores_hash or 'of the answer')[:13]}"),
        ("sample", f"{of.share:g} of predictions were kept"),
    ]
    asked = {name: value for name, value in found.asked.items() if name != "candidates"}
    return [*facts, ("asked", ", ".join(f"{name} {value}" for name, value in asked.items()))]


def rows_in_words(found: Prediction, settings: Settings) -> Iterator[str]:
    """Yield a line for each tag or candidate of the answer, with reasons where the features were kept.

    Parameters
    ----------
    found
        The prediction.
    settings
        Where the bundle lies that names and explains tags; without it there are ids alone.
    """
    if found.origin.kind == "conversions":
        yield from map(_candidate, found.answer)
        return
    bundle = _bundle(found, settings)
    for tag in found.answer:
        assigned = "assigned" if tag["assigned"] else "not assigned"
        name = "" if bundle is None else f" ({_name(bundle.taxonomy, tag['id'])})"
        yield f"{tag['id']}{name}: {tag['probability']:.4g}, {assigned}"
        if bundle is not None and found.features is not None:
            yield from (f"  {words}" for words in _reasons(bundle, found.features, tag["id"]))


def _candidate(candidate: dict[str, Any]) -> str:
    note = candidate["note"] or "a note without id"
    chances = ", ".join(f"{target} {chance:.4g}" for target, chance in candidate["probabilities"].items())
    worth = candidate["expected_value"]
    value = f"expected value {worth:.4g}" if worth is not None else candidate["no_expected_value"]
    return f"{note}{'' if candidate['known'] else ' (unknown to the log)'}: {chances}; {value}"


def _bundle(found: Prediction, settings: Settings) -> Bundle | None:
    try:
        return load_bundle(settings.bundles_dir / found.origin.model, saved=True)
    except ZhongcaoError:
        return None


def _name(taxonomy: Taxonomy, tag_id: str) -> str:
    return taxonomy.tag(tag_id).name


def _reasons(bundle: Bundle, row: NDArray[np.float32], tag_id: str) -> Iterator[str]:
    number = bundle.taxonomy.tags.index(bundle.taxonomy.tag(tag_id))
    vocabulary = Vocabulary.of(bundle.taxonomy)
    [factors] = bundle.model.explain(row, [number], _FACTORS)
    for factor in factors:
        yield f"{'+' if factor.effect > 0 else '−'} {in_words(factor.feature, factor.value, vocabulary, 'en')}"


def time_in_words(epoch: int) -> str:
    """Return an instant as people read it, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(sep=" ").removesuffix("+00:00")
