"""A home with a real, tiny champion and the online store filled for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from features.catalog import layout_for
from features.fitted import fit_affinities
from features.identity import account_key, load_key
from features.settings import Settings
from serving.sqlite_store import SqliteStore
from tests.serving.fakes import AS_OF, TAXONOMY
from training.bundle import write_bundle
from training.champion import promote
from training.fit import TagSettings, fit_tags
from training.head_fit import HeadSettings
from training.outlook_fit import fit_outlook
from training.pairs import Fitted, PairView, Window
from training.pooled import PooledSettings
from training.statics import STATIC_NAMES

PEOPLE = 120


def tiny_home(folder: Path, kinds: tuple[str, ...] = ("purchase",)) -> Settings:
    """Train on rows of nobody, promote, and fill the store with accounts ``a0``, ``a1``, … of platform ``shop``."""
    settings = Settings(home=folder, mlruns=folder / "mlruns", threads=1)
    layout = layout_for(TAXONOMY, kinds)
    rng = np.random.default_rng(5)
    rows = np.floor(rng.exponential(3.0, (PEOPLE, layout.width))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    statics = np.zeros((3, len(STATIC_NAMES)), np.float32)
    fitted = Fitted(
        fit_affinities(layout, np.nan_to_num(rows)), statics, fit_outlook(PairView(layout, TAXONOMY), [])
    )
    outcomes = (np.nan_to_num(rows[:, :3]) > 2).astype(np.uint8)
    key = load_key(settings)
    persons = [account_key(key, "shop", f"a{i}") for i in range(PEOPLE)]
    windows = [
        Window(instant, tuple(persons), rows, outcomes, fitted)
        for instant in (AS_OF - 60 * 86_400, AS_OF - 30 * 86_400)
    ]
    model, _ = fit_tags(
        layout=layout,
        taxonomy=TAXONOMY,
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
    promote(settings, write_bundle(model, {"made": "for a test"}, AS_OF, settings.bundles_dir))
    store = SqliteStore(settings.store_file)
    store.replace(layout.schema_hash, AS_OF, persons, rows)
    store.close()
    return settings
