"""The page of a delivery plan: what to buy, what it should bring, and what that hangs on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from rich.table import Table

from serving.pages.plan_document import lines_of
from serving.pages.render import pictures, write_page
from training.policy.plan_caused import STRATA
from training.policy.plan_made import DeliveryPlan
from training.quality.figures import INK, OURS, PEER, draw

_SHOWN: Final = 12
_NAME: Final = 26


def plan_table(found: DeliveryPlan, most: int = _SHOWN) -> Table:
    """Show the largest buys in the terminal."""
    table = Table(title=f"{found.question.campaign}: largest of {len(lines_of(found))} buys", title_justify="left")
    for name in ("audience", "note", "platform", f"spend {found.currency}", "impressions", "share", "cap", "bid ×"):
        table.add_column(name, justify="left" if name in {"audience", "note", "platform"} else "right")
    for line in lines_of(found)[:most]:
        table.add_row(
            line["name"], line["note"], line["platform"], f"{line['spend']:,.2f}", f"{line['impressions']:,.0f}",
            f"{line['share']:.1%}", str(line["cap"]), f"{line['bid_factor']:.2f}",
        )  # fmt: skip
    return table


def sentences(found: DeliveryPlan) -> list[str]:
    """Say what is expected, and what that hangs on."""
    plan, expected, share = found.plan, found.expected, found.learned.share
    money = f"{plan.cost:,.2f} {found.currency}"
    said = [
        f"{money} of {found.question.budget:,.2f} buy {plan.total.sum():,.0f} impressions in {found.question.days} "
        f"days and should cause {expected.caused:.1f} purchases ({expected.low:.1f} to {expected.high:.1f})",
        f"bought of everybody alike, the same money would cause {expected.broad:.1f} ({expected.broad_low:.1f} to "
        f"{expected.broad_high:.1f}): the plan causes {expected.lift:+.0%} ({expected.lift_low:+.0%} to "
        f"{expected.lift_high:+.0%})",
        f"hides: {1000 * plan.hides / max(plan.total.sum(), 1):.2f} per 1,000 impressions, so far "
        f"{1000 * plan.market.usual_hides:.2f}",
        f"no plan by these rules can be expected to cause more than {plan.bound:.1f}: {plan.gap:.1%} are missed",
    ]
    if plan.cost < 0.9 * found.question.budget:
        said.append("the audiences hold no more: more days, a higher cap or a larger share of slots would")
    if share.campaigns:
        said.append(
            f"caused per purchase that follows an impression: {share.whole:.2f} ({share.low:.2f} to "
            f"{share.high:.2f}), from the hold-outs of {share.campaigns} campaigns"
        )
        if share.low <= 0:
            said.append("the hold-outs do not show beyond noise that anything was caused: plan a larger hold-out")
    else:
        said.append(
            "no campaign of the last weeks has a hold-out that is large enough: every purchase that follows an "
            "impression is taken to be caused, which is too many"
        )
    return said


def write_plan_page(path: Path, found: DeliveryPlan, folder: Path) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    found
        The plan.
    folder
        Where its pictures are drawn.
    """
    question, repeats = found.question, found.learned.repeats
    write_page(
        path,
        "plan.html",
        title=f"plan of {question.campaign}",
        facts=[
            f"{found.brand}, {question.budget:,.2f} {found.currency}, {question.days} days",
            f"tags {found.models[0]}, conversions {found.models[1]}, people differ by {found.sought}",
        ],
        said=sentences(found),
        lines=lines_of(found),
        currency=found.currency,
        strata=list(zip(STRATA, found.learned.share.shares.tolist(), strict=True)),
        repeats=list(enumerate(zip(repeats.response.tolist(), repeats.hides.tolist(), strict=True))),
        plots=pictures(draw_plan(found, folder)),
        commands=[f"zhongcao plan --campaign {question.campaign} --budget {question.budget:g}"],
    )


def draw_plan(found: DeliveryPlan, folder: Path) -> list[Path]:
    """Draw what is spent by audience and note, and what more or less money would cause."""
    return [
        draw(folder / "spend_by_audience_and_note.png", partial(_spend, found=found), label_size=7),
        draw(folder / "value_by_budget.png", partial(_curve, found=found)),
    ]


def _spend(axes: Axes, found: DeliveryPlan) -> None:
    spend = np.einsum("snf,f->sn", found.plan.total, found.plan.market.cost)
    notes = np.argsort(-spend.sum(axis=0), kind="stable")[:_SHOWN]
    shown: Any = axes.imshow(spend[:, notes], cmap="Reds", aspect="auto", vmin=0)
    for (row, column), value in np.ndenumerate(spend[:, notes]):
        dark = value > 0.6 * spend.max()
        axes.text(column, row, f"{value:.3g}", ha="center", va="center", size=6, color="white" if dark else INK)
    axes.set_xticks(range(len(notes)), [found.notes[note][:_NAME] for note in notes], rotation=45, ha="right")
    axes.set_yticks(range(len(found.segments)), [segment.name[:_NAME] for segment in found.segments])
    axes.set(title=f"spend by audience and note, {found.currency}")
    shown.axes.spines[:].set_visible(False)


def _curve(axes: Axes, found: DeliveryPlan) -> None:
    budget, plan, broad = np.array(found.curve).T
    axes.plot(budget, plan, color=OURS, linewidth=1.8, marker="o", markersize=3, label="plan")
    axes.plot(budget, broad, color=PEER, linewidth=1.2, linestyle="--", label="everybody alike")
    axes.axvline(found.question.budget, color=INK, linewidth=0.6)
    axes.set(
        xlabel=f"budget, {found.currency}", ylabel="caused purchases", title="expected by budget", ylim=(0, None)
    )
    axes.legend(frameon=False)
