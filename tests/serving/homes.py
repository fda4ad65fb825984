"""A home with a real, tiny champion and the online store filled for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from features.people.identity import account_key, load_key
from features.rows.catalog import layout_for
from features.rows.fitted import fit_affinities
from features.rows.layout import RowLayout
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from serving.online.sqlite_store import SqliteStore
from tests.serving.fakes import AS_OF, TAXONOMY
from training.bundles.champion import promote
from training.tags.bundle import write_bundle
from training.tags.fit import TagSettings, fit_tags
from training.tags.head_fit import HeadSettings
from training.tags.model import TagModel
from training.tags.outlook_fit import fit_outlook
from training.tags.pairs import Fitted, Matrix, PairView, Window
from training.tags.pooled import PooledSettings
from training.tags.statics import STATIC_NAMES

PEOPLE = 120


def tiny_model(
    layout: RowLayout, taxonomy: Taxonomy, persons: Sequence[str], instants: Sequence[int]
) -> tuple[TagModel, Matrix]:
    """Train on rows of nobody; return these, too."""
    rng = np.random.default_rng(5)
    rows = np.floor(rng.exponential(3.0, (len(persons), layout.width))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    tags = len(taxonomy.tags)
    statics = np.zeros((tags, len(STATIC_NAMES)), np.float32)
    fitted = Fitted(
        fit_affinities(layout, np.nan_to_num(rows)), statics, fit_outlook(PairView(layout, taxonomy), [])
    )
    outcomes = (np.nan_to_num(rows[:, :tags]) > 2).astype(np.uint8)
    windows = [Window(instant, tuple(persons), rows, outcomes, fitted) for instant in instants]
    model, _ = fit_tags(
        layout=layout,
        taxonomy=taxonomy,
        choose=windows[:1],
        validation=windows[1],
        train=windows,
        fitted=fitted,
        settings=TagSettings(
            pooled=PooledSettings(trees=4, leaves=4, min_data_in_leaf=5),
            heads=HeadSettings(trees=3, leaves=3, min_data_in_leaf=5),
            min_positives=5,
        ),
        threads=1,
    )
    return model, rows


def tiny_home(folder: Path, kinds: tuple[str, ...] = ("purchase",)) -> Settings:
    """Train on rows of nobody, promote, and fill the store with accounts ``a0``, ``a1``, … of platform ``shop``."""
    settings = Settings(home=folder, mlruns=folder / "mlruns", threads=1)
    layout = layout_for(TAXONOMY, kinds)
    key = load_key(settings)
    persons = [account_key(key, "shop", f"a{i}") for i in range(PEOPLE)]
    model, rows = tiny_model(layout, TAXONOMY, persons, (AS_OF - 60 * 86_400, AS_OF - 30 * 86_400))
    promote(settings, write_bundle(model, {"made": "for a test"}, AS_OF, settings.bundles_dir))
    store = SqliteStore(settings.store_file)
    store.replace(layout.schema_hash, AS_OF, persons, rows)
    store.close()
    return settings
