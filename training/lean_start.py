"""LightGBM without what it imports for interfaces that nothing here uses: a second of a short command's time."""

from __future__ import annotations

import importlib
import sys
from typing import Final

# LightGBM imports these wherever they are installed: estimators of scikit-learn's kind, and tables of pandas.
_UNUSED: Final = ("sklearn", "pandas")


def import_lightgbm() -> None:
    """Import LightGBM alone, where it is not imported yet; what it does without may be imported afterwards.

    Call it before any other module imports LightGBM. In this process `lightgbm.LGBMClassifier` and its like do not
    work, and datasets take no tables of pandas.
    """
    if "lightgbm" in sys.modules:
        return
    hidden = [name for name in _UNUSED if name not in sys.modules]
    # None makes an import fail as if nothing were installed under that name.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        importlib.import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]
