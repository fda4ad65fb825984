"""Child process that loads a bundle and scores its golden rows; a crash here harms nobody."""

from __future__ import annotations

import sys
from pathlib import Path

from features.errors import ZhongcaoError
from training.bundles.manifest import CONVERSION
from training.lean_start import import_lightgbm


def main() -> int:
    """Score the golden rows of the bundle, of the given kind, that standard input names; 0 when they agree."""
    import_lightgbm()
    # LightGBM comes first.
    if sys.argv[1:] == [CONVERSION.name]:
        from training.conversion.bundle import score_golden_rows  # noqa: PLC0415
    else:
        from training.tags.bundle import score_golden_rows  # noqa: PLC0415
    try:
        score_golden_rows(Path(sys.stdin.read()))
    except ZhongcaoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
