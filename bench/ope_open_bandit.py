"""Open Bandit: what one policy's log says of the other, beside `obp`'s estimators on the same arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from features.errors import OverlapError
from training.policy.off_policy import METHODS, Floats, Logged, overlap_of, value_of, weights_of
from training.policy.reward_model import expected_rewards

OBP = "obp==0.4.1"
_BESIDE = ("numpy", "pandas", "scikit-learn", "PyYAML")
_CHILD = Path(__file__).with_name("ope_obp.py")
_NAMES = {"random": "the random policy", "bts": "Thompson sampling"}


CAMPAIGNS = ("all", "men", "women")


def open_bandit() -> dict[str, Any]:
    """Value each policy from the log of the other, in an environment that is thrown away afterwards."""
    found: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        python = _environment(folder / "env")
        for campaign in CAMPAIGNS:
            _run(python, "sample", str(folder), campaign)
            logs = {policy: dict(np.load(folder / f"{policy}.npz")) for policy in _NAMES}
            for source, other in (("random", "bts"), ("bts", "random")):
                title = f"{campaign}: {_NAMES[source]}'s log values {_NAMES[other]}"
                found[title] = _valued(python, folder, logs[source], logs[other])
    return found


def _environment(folder: Path) -> str:
    """Make an environment with obp, and beside it what its estimators import, in the versions that run here."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, *(f"{name}=={version(name)}" for name in _BESIDE)], check=True)
    subprocess.run([*install, "--no-deps", OBP], check=True)
    return python


def _run(python: str, *arguments: str) -> str:
    done = subprocess.run([python, str(_CHILD), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _valued(python: str, folder: Path, log: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    rows = len(log["action"])
    # The sample names no users: every row stands for itself.
    logged = Logged(log["action"], log["propensity"], log["reward"], np.arange(rows))
    target: Floats = other["chances"].T[log["position"]]
    expected = expected_rewards(logged, log["context"], target.shape[1])
    own, error = float(other["reward"].mean()), float(other["reward"].std() / np.sqrt(len(other["reward"])))
    overlap = overlap_of(logged, weights_of(logged, target))
    found: dict[str, Any] = {
        "rows": rows,
        "clicks": int(logged.reward.sum()),
        "effective_rows": overlap.effective,
        "mean_weight": overlap.mean_weight,
        "own_click_rate": own,
        "own_95": [own - 1.96 * error, own + 1.96 * error],
        "ours": {},
    }
    try:
        value_of(logged, target, "snips")
    except OverlapError as refused:
        found["refused"] = str(refused)
    for method in METHODS:
        value = value_of(logged, target, method, expected=expected, refuse=False)
        inside = value.low <= own <= value.high
        found["ours"][method] = {"value": value.value, "low": value.low, "high": value.high, "meets_own": inside}
    file = folder / "arrays.npz"
    arrays = {name: log[name] for name in ("reward", "action", "propensity")}
    np.savez(file, target=target, expected=expected, **arrays)
    found["obp"] = json.loads(_run(python, "values", str(file)))
    for value in found["obp"].values():
        value["meets_own"] = value["low"] <= own <= value["high"]
    both = [abs(found["ours"][name]["value"] - found["obp"][name]["value"]) for name in found["ours"]]
    found["largest_difference_from_obp"] = max(both, default=None)
    return found
