"""Gates: planted defects must be stopped, sound data and better models must pass.

    python -m bench.gates --json PATH

Data: 20 defects, each planted in the last days of a simulated log of its own (1,500 people, 46 days), and 50 sound
logs: five seasons with shopping festivals in the judged days, five sizes (400 to 1,500 people, 18 to 60 days), and
changes that are no defects: growth, weekends, daily files, a new platform, the first campaigns. A defect counts as
stopped where the log passed before it was planted. ``--part`` runs one part.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from bench.harness import write_json

PARTS = {"data": "bench.gates_data", "promotion": "bench.gates_promotion"}


def main() -> None:
    """Measure, and print a table of each part."""
    parser = argparse.ArgumentParser(prog="python -m bench.gates")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--part", choices=PARTS, help="only this part")
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    for part, module in PARTS.items():
        if arguments.part in {None, part}:
            result |= importlib.import_module(module).measure()
    print({name: value for name, value in result.items() if isinstance(value, int)})
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
