"""Adding tags to the champion and taking them away: a new verified bundle, served from the rows that are there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from features.durable import write_durably
from features.errors import StoreError, TrainingError
from features.locks import exclusive
from features.people.identity import load_key
from features.rows.layout import RowLayout
from features.settings import Settings
from features.taxonomy.addition import added_seed_tag, added_tags, merged_text, read_fragment, without_tag
from features.taxonomy.taxonomy import Seeds
from serving.consent.log import withdrawn_since
from serving.online.added_columns import AddedColumns, forget_added, open_store, read_added, write_added
from serving.tags.seed_list import SeedList, forget_seeds, head_rows, keep_seeds, kept_seeds, read_seeds
from training.bundles.champion import champion_path, checker, promote
from training.code import code_version
from training.new_tags.choice import NewTagQuality
from training.new_tags.model import extended_layout, with_taxonomy
from training.new_tags.rule import Added, learn_rule_tags
from training.new_tags.seeds import learn_seed_tag, others_wanted, require_seeds
from training.new_tags.windows import NewTagWindows
from training.steps import Steps
from training.tags.bundle import Bundle, load_bundle, write_bundle


@dataclass(frozen=True)
class Change:
    """What became of the champion.

    Parameters
    ----------
    bundle
        Version that serves from now on.
    parent
        Version that it was made from; the same one where nothing changed.
    quality
        Of the new tags.
    seeds
        The list that a tag was learned from, if any.
    left_out
        File of the list's lines that were left out, if any.
    """

    bundle: str
    parent: str
    quality: tuple[NewTagQuality, ...] = ()
    seeds: SeedList | None = None
    left_out: Path | None = None


def add_from_rules(settings: Settings, fragment: Path, steps: Steps, *, into: Path | None = None) -> Change:
    """Add the tags of a fragment of a taxonomy file.

    Parameters
    ----------
    settings
        Where everything lies.
    fragment
        TOML file with ``[[tag]]`` and ``[[vertical]]`` tables.
    steps
        Shows progress.
    into
        Taxonomy file that the fragment is written to the end of, so that a retraining knows the tags, too.

    Raises
    ------
    BundleError
        There is no champion.
    TaxonomyError, RuleError
        The fragment does not fit the champion's taxonomy, or the file.
    TrainingError
        A tag came true for too few people; or another job runs.
    StoreError
        The online store holds rows of another layout.
    """
    content = read_fragment(fragment)
    with _alone(settings), checker() as check:
        bundle = load_bundle(champion_path(settings), saved=True)
        taxonomy = added_tags(bundle.taxonomy, content)
        merged = None if into is None else merged_text(into, fragment, taxonomy)
        change = Change(bundle.version, bundle.version)
        if taxonomy != bundle.taxonomy:
            layout = extended_layout(bundle.model.layout, taxonomy)
            as_of = _present(settings, bundle)
            windows = NewTagWindows(settings, bundle, taxonomy, layout, steps, present=as_of)
            learned, columns = learn_rule_tags(windows, steps, threads=settings.threads)
            added = AddedColumns.of(as_of, windows.people.persons, columns)
            change = _publish(settings, bundle, learned, added, steps, check=check)
        if into is not None and merged is not None:
            mode = into.stat().st_mode
            write_durably(into, merged)
            into.chmod(S_IMODE(mode))
    return change


def add_from_seeds(settings: Settings, path: Path, entry: dict[str, str], steps: Steps, *, now: int) -> Change:
    """Add a tag that is learned from a list of people.

    Parameters
    ----------
    settings
        Where everything lies.
    path
        CSV file, see `serving.tags.seed_list.read_seeds`.
    entry
        The tag's id, name, name_zh and meaning.
    steps
        Shows progress.
    now
        Of who withdrew consent by then nothing is learned, epoch seconds.

    Raises
    ------
    BundleError
        There is no champion.
    SourceError
        The file does not say who its people are.
    TaxonomyError
        The id is taken by another tag, or a text is not allowed.
    TrainingError
        There are too few seeds; or another job runs.
    StoreError
        The online store holds rows of another layout.
    """
    with _alone(settings), checker() as check:
        bundle = load_bundle(champion_path(settings), saved=True)
        as_of = _present(settings, bundle)
        store = open_store(settings, bundle.layout)
        with steps.step("people of the list", 1) as advance:
            withdrawn = frozenset(withdrawn_since(settings, as_of, now))
            seeds = read_seeds(path, load_key(settings), store, withdrawn)
            advance()
        facts = Seeds(len(seeds.persons), as_of)
        if _same(settings, bundle, entry, facts, seeds):
            return Change(bundle.version, bundle.version, seeds=seeds)
        taxonomy = added_seed_tag(bundle.taxonomy, entry, facts)
        require_seeds(len(seeds.persons))
        with steps.step("rows of the list's people and of others", 1) as advance:
            others = others_wanted(len(seeds.persons))
            rows = head_rows(store, seeds.persons, others, bundle.layout.head_columns, withdrawn)
            advance()
        with steps.step("head of the new tag, six times fitted", 1) as advance:
            learned = learn_seed_tag(bundle, taxonomy, *rows, threads=settings.threads)
            advance()
        store.close()
        left_out = keep_seeds(settings, entry["id"], entry, seeds)
        columns = _moved(settings, bundle, learned.model.layout, as_of)
        change = _publish(settings, bundle, learned, columns, steps, check=check)
    return Change(change.bundle, change.parent, change.quality, seeds, left_out)


def remove(settings: Settings, tag: str, steps: Steps) -> Change:
    """Take an added tag away.

    Raises
    ------
    BundleError
        There is no champion.
    TaxonomyError
        There is no such tag, or it was not added.
    StoreError
        The online store holds rows of another layout.
    """
    with _alone(settings), checker() as check:
        bundle = load_bundle(champion_path(settings), saved=True)
        taxonomy = without_tag(bundle.taxonomy, tag)
        as_of = _present(settings, bundle)
        model = with_taxonomy(bundle.model, taxonomy)
        columns = _moved(settings, bundle, model.layout, as_of)
        change = _publish(settings, bundle, Added(model, [], {"removed": tag}), columns, steps, check=check)
        forget_seeds(settings, tag)
    return change


def _publish(
    settings: Settings,
    bundle: Bundle,
    learned: Added,
    columns: AddedColumns,
    steps: Steps,
    *,
    check: Callable[[Path], None],
) -> Change:
    """Write the bundle and the columns that it needs, check it, and let it serve."""
    with steps.step("bundle, checked in a process of its own", 2) as advance:
        folder = write_bundle(learned.model, _about(bundle, learned), bundle.as_of, settings.bundles_dir)
        advance()
        if learned.model.layout != learned.model.layout.base:
            write_added(settings, learned.model.layout, columns)
        promote(settings, folder, check)
        forget_added(settings, [bundle.layout, learned.model.layout])
        advance()
    return Change(folder.name, bundle.version, tuple(learned.quality))


def _about(bundle: Bundle, learned: Added) -> dict[str, Any]:
    change = {
        "parent": bundle.version,
        "code_version": code_version(),
        "quality": [quality.as_dict() for quality in learned.quality],
        **learned.how,
    }
    return {
        **bundle.about,
        "taxonomy_hash": learned.model.taxonomy.hash,
        "layout_hash": learned.model.layout.schema_hash,
        "changes": [*bundle.about.get("changes", []), change],
    }


def _present(settings: Settings, bundle: Bundle) -> int:
    """Return the instant of the stored rows, once it is sure that the champion can read them."""
    store = open_store(settings, bundle.layout)
    info = store.describe()
    store.close()
    if info.schema_hash != bundle.layout.schema_hash:
        raise StoreError(
            "the online store's rows do not follow the layout of the champion",
            value=info.schema_hash,
            valid=[bundle.layout.schema_hash],
            next_step="run `zhongcao retrain` to fill it",
        )
    return info.as_of


def _moved(settings: Settings, bundle: Bundle, layout: RowLayout, as_of: int) -> AddedColumns:
    """Return the added columns that the champion reads, in the order of another layout."""
    held = read_added(settings, bundle.layout) if bundle.layout != bundle.layout.base else None
    return AddedColumns.empty(as_of, layout) if held is None else held.arranged(bundle.layout, layout)


def _same(settings: Settings, bundle: Bundle, entry: dict[str, str], facts: Seeds, seeds: SeedList) -> bool:
    known = {tag.id: tag for tag in bundle.taxonomy.tags}
    if entry["id"] not in known or kept_seeds(settings, entry["id"]) != seeds.persons:
        return False
    tag = known[entry["id"]]
    return tag.seeds == facts and all(getattr(tag, name) == value for name, value in entry.items())


def _alone(settings: Settings) -> AbstractContextManager[None]:
    busy = TrainingError("another job runs in this home", next_step="wait for it, or set another ZHONGCAO_HOME")
    return exclusive(settings.work_dir / "retrain.lock", busy)
