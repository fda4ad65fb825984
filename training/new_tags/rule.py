"""A new tag from a rule, without retraining the others: the pooled model scores it, and a head of its own helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np

from features.errors import TrainingError
from features.taxonomy.taxonomy import Taxonomy
from training.new_tags.choice import ModelChoices, NewTagQuality, blended, choices_of, measured, spread
from training.new_tags.model import NewTag, alone, alone_rows, logits_alone, with_tags
from training.new_tags.windows import MEASURED, NewTagWindows
from training.quality.metrics import Labels
from training.steps import Steps
from training.tags.head_fit import fit_head
from training.tags.heads import head_logits
from training.tags.model import TagModel
from training.tags.pairs import Fitted, Matrix
from training.tags.statics import label_statics, scope_statics


@dataclass(frozen=True)
class Added:
    """A model with new tags.

    Parameters
    ----------
    model
        All tags of the champion, and the new ones.
    quality
        Of each new tag, on what nothing in it was fitted on.
    how
        On what the new tags were learned and measured, in plain values.
    """

    model: TagModel
    quality: list[NewTagQuality]
    how: dict[str, Any]


def learn_rule_tags(windows: NewTagWindows, steps: Steps, *, threads: int) -> tuple[Added, Matrix]:
    """Learn the tags with rules that a taxonomy has after a champion's own.

    The pooled model reads a tag's statics, label history and scope; it never saw its labels. Where there are enough
    positives, a head is trained on the champion's training windows. Both are measured on the latest window whose
    outcomes are known: the one from the champion's as-of instant on, or, where that is not over, the champion's
    validation window with a head of the earlier windows alone.

    Parameters
    ----------
    windows
        The champion's, with the columns of a taxonomy that has more tags.
    steps
        Shows progress.
    threads
        Threads of LightGBM, which do not change the result.

    Returns
    -------
    tuple
        What was learned, and the added columns of the people of the present, float32 [n, added width].

    Raises
    ------
    TrainingError
        A new tag came true for too few people.
    """
    model, taxonomy, layout, course = windows.bundle.model, windows.taxonomy, windows.layout, windows.course
    tags = list(range(len(model.taxonomy.tags), len(taxonomy.tags)))
    columns = [tag - len(taxonomy.base.tags) for tag in tags]
    choices = choices_of(windows.bundle)
    with steps.step("labels and features of the new tags", 3) as advance:
        train = windows.people.labels(course.train, course.as_of)[:, columns]
        advance()
        _require(taxonomy, tags, train, choices.min_positives)
        truth = windows.people.labels([course.judged], course.known_at)[:, columns]
        advance()
        served, (present, then) = windows.people.columns([course.as_of, course.judged])
        advance()
    fitted, statics = _told(windows, model.fitted, windows.rows(course.as_of), present, tags)
    of_then = (fitted, statics)
    if course.judged != course.as_of:
        of_then = _told(windows, windows.fitted(course.judged), windows.rows(course.judged), then, tags)
    people = spread(len(then), MEASURED)
    rows = np.asarray(windows.rows(course.judged)[people])
    pooled_model = alone(model, taxonomy, *of_then, tags)
    pooled = logits_alone(pooled_model, alone_rows(layout, rows, then[people], tags), threads=threads)
    early = (
        train
        if course.earlier == course.train
        else windows.people.labels(course.earlier, course.judged)[:, columns]
    )
    usual = usual_share(model)
    learned, quality = [], []
    with steps.step("heads of the new tags", len(tags)) as advance:
        for n, tag in enumerate(tags):
            labels = truth[people, n]
            _require_both(taxonomy, tag, labels)
            head = _head(windows, course.earlier, early[:, n], choices)
            final = head if course.earlier == course.train else _head(windows, course.train, train[:, n], choices)
            share, logits, alone_head = 0.0, pooled[:, n], None
            if head is not None and final is not None:
                alone_head = head_logits({0: head}, rows[:, layout.head_columns], 1, threads=threads)[:, 0]
                share, logits = blended(pooled[:, n], alone_head, labels, model.platt, usual)
            found = measured(
                taxonomy.tags[tag].id,
                labels,
                model.platt.apply(logits),
                choices.assign,
                alone=(pooled[:, n], alone_head),
                head_share=share,
                learned_from=int(train[:, n].sum()) if share else 0,
            )
            quality.append(found)
            learned.append(NewTag(final if share else None, share, found.assign_at, statics[n]))
            advance()
    how = {
        "judged": course.judged,
        "train": list(course.train),
        "earlier": list(course.earlier),
        "people": len(people),
    }
    return Added(with_tags(model, layout, taxonomy, fitted, learned), quality, how), served


def usual_share(model: TagModel) -> float:
    """Return the head's share that most tags of a model with a head have; a half where none has one."""
    headed = [model.head_share[tag] for tag in model.heads if model.taxonomy.tags[tag].rule is not None]
    return float(np.median(headed)) if headed else 0.5


def _told(
    windows: NewTagWindows, fitted: Fitted, rows: Matrix, added: Matrix, tags: Sequence[int]
) -> tuple[Fitted, Matrix]:
    """Return the transforms with the new scopes folded in, and the new tags' statics, as of the rows' instant."""
    layout, taxonomy = windows.layout, windows.taxonomy
    affinities = fitted.affinities
    if len(affinities.factors) < len(layout.parents):
        people = spread(len(rows), MEASURED)
        affinities = affinities.fold_in(layout, np.concatenate([rows[people], added[people]], axis=1))
    base = len(layout.base.parents)
    scopes = sorted({taxonomy.scope_of_tag[tag] for tag in tags})
    blocks = [
        layout.added.scope(added)[:, scope - base] if scope >= base else rows[:, layout.scope_columns[scope]]
        for scope in scopes
    ]
    of_scope = scope_statics(layout.scope_names, np.stack(blocks, axis=1))
    first = len(layout.base.tags)
    of_labels = label_statics(layout, layout.added.tag(added)[:, [tag - first for tag in tags]])
    places = [scopes.index(taxonomy.scope_of_tag[tag]) for tag in tags]
    return replace(fitted, affinities=affinities), np.column_stack([of_labels, of_scope[places]]).astype(np.float32)


def _head(
    windows: NewTagWindows, instants: Sequence[int], labels: Labels, choices: ModelChoices
) -> lgb.Booster | None:
    if not choices.heads.learnable(labels[:, None])[0]:
        return None
    return fit_head(windows.bins(instants, choices.heads.max_bin), labels, choices.heads, seed=choices.seed)


def _require(taxonomy: Taxonomy, tags: Sequence[int], labels: Labels, least: int) -> None:
    for n, tag in enumerate(tags):
        positives = int(labels[:, n].sum())
        if positives < least:
            raise TrainingError(
                f"tag {taxonomy.tags[tag].id} came true too rarely: {positives} times in the training windows",
                valid=[f"{least} or more"],
                next_step="use a broader rule or a longer horizon",
            )


def _require_both(taxonomy: Taxonomy, tag: int, labels: Labels) -> None:
    if not 0 < labels.sum() < len(labels):
        what = "nobody" if not labels.any() else "everybody"
        raise TrainingError(
            f"tag {taxonomy.tags[tag].id} came true for {what} in the latest window, so it cannot be measured",
            next_step="use another rule, or wait until a window is over in which it differs between people",
        )
