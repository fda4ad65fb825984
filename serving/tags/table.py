"""Tables of the serving tags and of new ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from features.settings import Settings
from training.new_tags.choice import NewTagQuality
from training.tags.bundle import Bundle
from training.tags.statics import STATIC_NAMES


def tag_table(settings: Settings, bundle: Bundle) -> Table:
    """Return a table of all tags of a bundle.

    Parameters
    ----------
    settings
        Where the last evaluation lies.
    bundle
        The champion.
    """
    changes = bundle.about.get("changes", [])
    origin = changes[0]["parent"] if changes else bundle.version
    measured = {**_evaluated(settings, origin), **{q["tag"]: q for change in changes for q in change["quality"]}}
    table = Table("id", "name", "名称", "kind", title=f"{bundle.version}, {bundle.taxonomy.name}")
    for column in ("base rate", "AUC", "head"):
        table.add_column(column, justify="right")
    table.add_column("")
    trained = len(bundle.taxonomy.base.tags)
    for number, tag in enumerate(bundle.taxonomy.tags):
        own = measured.get(tag.id)
        rate = float(bundle.model.fitted.statics[number, STATIC_NAMES.index("base_rate_mean")])
        table.add_row(
            tag.id,
            tag.name,
            tag.name_zh,
            "seeds" if tag.seeds else "rule",
            f"{own['positives'] / own['people'] if own else rate:.2%}",
            f"{own['auc']:.3f}" if own and own["auc"] is not None else "",
            f"{bundle.model.head_share[number]:.2f}",
            "added" if number >= trained else ("trained" if bundle.model.active[number] else "too rare"),
        )
    return table


def quality_of_new(quality: Sequence[NewTagQuality]) -> Table:
    """Return a table of what new tags reached on what they were not fitted on."""
    table = Table("tag", title="new tags, measured on people and outcomes that they were not fitted on")
    names = (
        "people",
        "positives",
        "base rate",
        "AUC",
        "AP",
        "entropy",
        "pooled AUC",
        "head AUC",
        "head",
        "assigned",
    )
    for name in names:
        table.add_column(name, justify="right")
    for one in quality:
        table.add_row(
            one.tag,
            f"{one.people:,}",
            f"{one.positives:,}",
            f"{one.base_rate:.2%}",
            f"{one.auc:.3f}",
            f"{one.ap:.3f}",
            f"{one.normalised_entropy:.3f}",
            "" if one.pooled_auc is None else f"{one.pooled_auc:.3f}",
            "" if one.head_auc is None else f"{one.head_auc:.3f}",
            f"{one.head_share:.2f}",
            f"{one.assigned:.2%}",
        )
    return table


def _evaluated(settings: Settings, bundle: str) -> dict[str, dict[str, Any]]:
    """Return the figures by tag of the latest evaluation of a bundle that this home trained."""
    for run in sorted((settings.work_dir / "runs").glob("*/trained.json")):
        if json.loads(run.read_text(encoding="utf-8")).get("bundle") == bundle:
            done = sorted(run.parent.glob("evaluation-*.json"))
            return dict(json.loads(done[-1].read_text(encoding="utf-8"))["per_tag"]) if done else {}
    return {}
