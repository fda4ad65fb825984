"""A tag model with more tags, or with fewer: nothing that it says of the other tags changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np

from features.rows.layout import RowLayout
from features.scopes import Scopes
from features.taxonomy.taxonomy import Taxonomy
from training.quality.calibration import Platt
from training.quality.metrics import Floats
from training.tags.model import TagModel
from training.tags.pairs import Fitted, Matrix
from training.tags.pooled import pooled_logits


@dataclass(frozen=True)
class NewTag:
    """What was learned of one tag.

    Parameters
    ----------
    head
        Its own booster; None where the pooled model scores it alone.
    head_share
        Share of the head in the blended logit.
    assign_at
        A person is assigned the tag from this probability on.
    statics
        What everybody tells about it, float32 [len(STATIC_NAMES)]; NaN where it has no rule.
    """

    head: lgb.Booster | None
    head_share: float
    assign_at: float
    statics: Matrix


def extended_layout(layout: RowLayout, taxonomy: Taxonomy) -> RowLayout:
    """Return the layout with the scopes and tags that a taxonomy has after the layout's own."""
    scopes, tags = len(layout.parents), len(layout.tags)
    members = Scopes(taxonomy.scopes.members[scopes:])
    return layout.extended(members, taxonomy.parents[scopes:], tuple(tag.id for tag in taxonomy.tags[tags:]))


def with_tags(
    model: TagModel, layout: RowLayout, taxonomy: Taxonomy, fitted: Fitted, tags: Sequence[NewTag]
) -> TagModel:
    """Return the model with more tags after its own.

    Parameters
    ----------
    model
        The trained model.
    layout, taxonomy
        With the new scopes and tags.
    fitted
        The model's transforms, with the new scopes folded in.
    tags
        What was learned of each new tag, in the taxonomy's order.
    """
    first = len(model.taxonomy.tags)
    heads = {first + n: tag.head for n, tag in enumerate(tags) if tag.head is not None}
    return replace(
        model,
        layout=layout,
        taxonomy=taxonomy,
        heads={**model.heads, **heads},
        head_share=np.append(model.head_share, [tag.head_share for tag in tags]),
        levels=np.append(model.levels, np.zeros(len(tags))),
        active=np.append(model.active, np.ones(len(tags), bool)),
        assign_at=np.append(model.assign_at, [tag.assign_at for tag in tags]),
        fitted=replace(
            fitted,
            statics=np.concatenate([fitted.statics, *(tag.statics[None] for tag in tags)]),
            outlook=model.fitted.outlook.with_tags(len(tags)),
        ),
    )


def with_taxonomy(model: TagModel, taxonomy: Taxonomy) -> TagModel:
    """Return the model with no more tags and scopes than a taxonomy has, which lacks some of the added ones."""
    kept = [number for number, tag in enumerate(model.taxonomy.tags) if tag in taxonomy.tags]
    gone = [n for n, scope in enumerate(model.taxonomy.scopes.names) if scope not in taxonomy.scopes.names]
    return replace(
        model,
        layout=extended_layout(model.layout.base, taxonomy),
        taxonomy=taxonomy,
        heads={place: model.heads[number] for place, number in enumerate(kept) if number in model.heads},
        head_share=model.head_share[kept],
        levels=model.levels[kept],
        active=model.active[kept],
        assign_at=model.assign_at[kept],
        fitted=Fitted(
            model.fitted.affinities.without(gone), model.fitted.statics[kept], model.fitted.outlook.of_tags(kept)
        ),
    )


def alone(model: TagModel, taxonomy: Taxonomy, fitted: Fitted, statics: Matrix, tags: Sequence[int]) -> TagModel:
    """Return the pooled model for some added tags alone, over rows without the blocks of all other tags.

    Parameters
    ----------
    model
        The trained model.
    taxonomy
        With the added tags.
    fitted
        Transforms with all scopes folded in.
    statics
        Of the tags, float32 [len(tags), len(STATIC_NAMES)].
    tags
        Numbers of the tags.
    """
    chosen = tuple(taxonomy.tags[tag] for tag in tags)
    base = replace(model.layout.base, tags=())
    narrow = replace(taxonomy, tags=chosen, added_tags=len(chosen))
    return replace(
        model,
        layout=extended_layout(base, narrow),
        taxonomy=narrow,
        heads={},
        head_share=np.zeros(len(chosen)),
        levels=np.zeros(len(chosen)),
        active=np.ones(len(chosen), bool),
        assign_at=np.ones(len(chosen)),
        fitted=Fitted(fitted.affinities, statics, fitted.outlook.of_tags([]).with_tags(len(chosen))),
    )


def alone_rows(layout: RowLayout, rows: Matrix, added: Matrix, tags: Sequence[int]) -> Matrix:
    """Return the rows that a model of some added tags `alone` reads.

    Parameters
    ----------
    layout
        With the added tags.
    rows
        Of the base layout, float32 [n, layout.base.width].
    added
        The added columns of the same people, float32 [n, layout.added.width].
    tags
        Numbers of the tags.
    """
    first = layout.width - layout.added.width
    before = layout.base.tag_columns.min(initial=layout.base.width)
    scopes = layout.scope_columns[len(layout.base.parents) :].ravel() - first
    own = layout.tag_columns[list(tags)].ravel() - first
    return np.concatenate([rows[:, :before], added[:, scopes], added[:, own]], axis=1)


def logits_alone(model: TagModel, rows: Matrix, *, threads: int) -> Floats:
    """Return the pooled model's logits of a model's tags, float64 [n, T]."""
    return pooled_logits(model.pooled, model.view, rows, model.fitted, model.negative_share, threads=threads)


def rescaled(head: lgb.Booster, own: Platt, shared: Platt) -> lgb.Booster:
    """Return a head whose scores under the shared calibration are what its own calibration makes of it."""
    slope = own.slope / shared.slope
    shift = (own.intercept - shared.intercept) / shared.slope
    copy = lgb.Booster(model_str=head.model_to_string())
    for number, tree in enumerate(copy.dump_model()["tree_info"]):
        for leaf in range(int(tree["num_leaves"])):
            value = copy.get_leaf_output(number, leaf) * slope + (shift if number == 0 else 0.0)
            copy.set_leaf_output(number, leaf, value)
    return copy
