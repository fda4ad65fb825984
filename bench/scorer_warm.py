"""Child process of `bench.scorer`: how long the first score takes, with compiled code kept in the given folder.

python -m bench.scorer_warm FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from training.compact.cache import keep_compiled
from training.compact.forest import CompactForest


def main() -> None:
    """Compile, or read what was compiled before, and print the seconds."""
    started = time.perf_counter()
    keep_compiled(Path(sys.argv[1]))
    CompactForest.from_boosters([], 1).warm()
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
