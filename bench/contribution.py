"""What campaigns caused: estimates beside the truth of worlds that know it.

Each world has 20,000 people, 60 days and 50 campaigns (3 of them change nothing, 5 have no links), ads go rather to
those who are interested, and a tenth of the people is held out of each campaign. Estimated is net revenue of the
campaign's brand from its start until 14 days after its end: from the hold-outs; doubly robust from everybody else,
as if nobody had been held out; and as last-touch credits it. Ratios of sums are over all campaigns of all worlds
(for doubly robust: over those that it did not refuse). The time of all credit rules on ten million touches is that
of bench.credit_rules. A world takes about a minute of one core; with --home a cut run goes on where it was.

    python -m bench.contribution --json PATH
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.contribution_worlds import Row, judged
from bench.credit_rules import drawn, ours
from bench.harness import report, write_json
from features.world.settings import WorldSettings

ESTIMATES = ("hold_out", "plain", "doubly_robust")


def main() -> None:
    """Judge the campaigns of all worlds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--campaigns", type=int, default=50)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep each world's estimates here and reuse them")
    parser.add_argument("--without-rules", action="store_true", help="leave the time of the credit rules out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = asked.home or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        rows: list[Row] = []
        for seed in range(asked.first_seed, asked.first_seed + asked.worlds):
            rows += _kept(home, _settings(asked, seed))
    result: dict[str, Any] = {
        "worlds": asked.worlds, "campaigns_a_world": asked.campaigns, "people": asked.people, "days": asked.days,
        "hold_out_share": 0.1, **figures(rows),
    }  # fmt: skip
    if not asked.without_rules:
        result |= rules()
    _print(result)
    write_json(asked.json, result)


def rules(touches: int = 10_000_000) -> dict[str, float]:
    """Return the seconds that all credit rules take together."""
    seconds, _ = ours(drawn(touches, seed=11))
    processor = seconds.pop("processor")
    return {"rules_touches": touches, "rules_seconds": sum(seconds.values()), "rules_processor_seconds": processor}


def figures(rows: list[Row]) -> dict[str, Any]:
    """Return errors of sums, coverage, and how far single campaigns are off."""
    result: dict[str, Any] = {"caused": int(sum(row["caused"] for row in rows))}
    for name in ESTIMATES:
        known = [row for row in rows if row[name] is not None]
        total, low, high, p_value = np.array([row[name] for row in known], np.float64).T
        caused = np.array([row["caused"] for row in known], np.float64)
        silent = np.array([row["silent"] for row in known])
        result[name] = {
            "campaigns": len(known),
            "error": float(abs(total.sum() - caused.sum()) / caused.sum()),
            "signed_error": float(total.sum() / caused.sum() - 1),
            "coverage_95": float(((low <= caused) & (caused <= high)).mean()),
            "no_effect_holds_0": float(((low <= 0) & (high >= 0))[silent].mean()) if silent.any() else np.nan,
            "off_by": float(np.sqrt(np.mean((total - caused) ** 2)) / caused.mean()),
            "half_width": float(np.mean(high - low) / 2 / caused.mean()),
            "found": float((p_value < 0.05)[~silent].mean()),
        }
    for name in ("last_touch", "reached_or_not"):
        total = np.array([row[name] for row in rows], np.float64)
        caused = np.array([row["caused"] for row in rows], np.float64)
        known = np.isfinite(total)
        signed = float(total[known].sum() / caused[known].sum() - 1)
        off = float(np.sqrt(np.mean((total[known] - caused[known]) ** 2)) / caused[known].mean())
        result[name] = {"campaigns": int(known.sum()), "error": abs(signed), "signed_error": signed, "off_by": off}
    return result | {
        "coverage_95": result["hold_out"]["coverage_95"],
        "total_error": result["hold_out"]["error"],
        "doubly_robust_error": result["doubly_robust"]["error"],
        "last_touch_error": result["last_touch"]["error"],
        "doubly_robust_refused": sum(1 for row in rows if row["doubly_robust"] is None),
    }


def _settings(asked: argparse.Namespace, seed: int) -> WorldSettings:
    return WorldSettings(
        people=asked.people, days=asked.days, seed=seed, campaigns=asked.campaigns, hold_out=0.1,
        no_effect=asked.campaigns * 3 // 50, prepares=asked.campaigns // 10,
    )  # fmt: skip


def _kept(home: Path, settings: WorldSettings) -> list[Row]:
    kept = home / f"world-{settings.people}-{settings.days}-{settings.campaigns}-{settings.seed}.json"
    if not kept.exists():
        started = time.perf_counter()
        rows = judged(settings)
        draft = kept.with_suffix(".new")
        draft.write_text(json.dumps(rows))
        draft.replace(kept)
        so_far = figures(rows)
        print(
            f"world {settings.seed}: {time.perf_counter() - started:.0f} s",
            *(f"{name} {so_far[name]['signed_error']:+.1%}" for name in (*ESTIMATES, "last_touch")),
            sep=", ",
            flush=True,
        )
    found: list[Row] = json.loads(kept.read_text())
    return found


def _print(result: dict[str, Any]) -> None:
    names = ("hold_out", "plain", "doubly_robust", "last_touch", "reached_or_not")
    report(
        f"Revenue that {result['worlds']} x {result['campaigns_a_world']} campaigns caused",
        {name: result[name] for name in names},
        ["error", "signed_error", "coverage_95", "no_effect_holds_0", "off_by", "half_width", "found", "campaigns"],
    )
    print(f"refused for want of overlap: {result['doubly_robust_refused']}")
    if "rules_seconds" in result:
        print(f"all credit rules on ten million touches: {result['rules_seconds']:.1f} s")


if __name__ == "__main__":
    main()
