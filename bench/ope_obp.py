"""What runs in the throw-away environment with `obp`: its sample as arrays, and its estimators on arrays.

    python ope_obp.py sample FOLDER CAMPAIGN      # writes random.npz, bts.npz
    python ope_obp.py values FILE                 # reads arrays, prints values as JSON

Needs numpy, pandas and obp alone. The packages of obp import torch, which neither its data nor its estimators of
arrays use: an empty module stands for it, and the packages are entered without what their `__init__` imports.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

DRAWS = 100_000


def _obp(module: str):
    """Import a module of obp without torch."""
    torch = ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    sys.modules.setdefault("torch", torch)
    root = Path(next(p for p in sys.path if (Path(p) / "obp" / "version.py").is_file())) / "obp"
    for name in ("obp", "obp.policy", "obp.ope"):
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
    return importlib.import_module(module)


def sample(folder: Path, campaign: str) -> None:
    """Write both logs and, for each policy, its chances of every item by position."""
    made = _obp("obp.policy.contextfree")
    data = Path(made.__file__).parent.parent / "dataset" / "obd"
    for name in ("random", "bts"):
        rows = pd.read_csv(data / name / campaign / f"{campaign}.csv", index_col=0)
        items = len(pd.read_csv(data / name / campaign / "item_context.csv", index_col=0))
        users = [column for column in rows if column.startswith("user_feature")]
        codes = [pd.factorize(rows[column], sort=True)[0] for column in users]
        if name == "random":
            policy = made.Random(n_actions=items, len_list=3, random_state=12345)
            chances = policy.compute_batch_action_dist(n_rounds=1)[0]
        else:
            policy = made.BernoulliTS(
                n_actions=items, len_list=3, is_zozotown_prior=True, campaign=campaign, random_state=12345
            )
            chances = policy.compute_batch_action_dist(n_sim=DRAWS, n_rounds=1)[0]
        np.savez(
            folder / f"{name}.npz",
            action=rows["item_id"].to_numpy(),
            position=rows["position"].to_numpy() - 1,
            reward=rows["click"].to_numpy().astype(float),
            propensity=rows["propensity_score"].to_numpy(),
            context=np.column_stack([*codes, rows["position"].to_numpy()]).astype(np.float32),
            chances=chances,
        )


def values(file: Path) -> None:
    """Print what obp's estimators say of arrays: target [n, items], expected [n, items]."""
    made = _obp("obp.ope.estimators")
    arrays = np.load(file)
    given = {
        "reward": arrays["reward"],
        "action": arrays["action"],
        "position": np.zeros(len(arrays["action"]), int),
        "pscore": arrays["propensity"],
        "action_dist": arrays["target"][:, :, None],
        "estimated_rewards_by_reg_model": arrays["expected"][:, :, None],
    }
    ways = {
        "ips": made.InverseProbabilityWeighting(),
        "snips": made.SelfNormalizedInverseProbabilityWeighting(),
        "dr": made.SelfNormalizedDoublyRobust(),
        "plain dr": made.DoublyRobust(),
        "direct": made.DirectMethod(),
    }
    found = {}
    for name, way in ways.items():
        interval = way.estimate_interval(**given, alpha=0.05, n_bootstrap_samples=1000, random_state=1)
        low, high = (interval[key] for key in ("95.0% CI (lower)", "95.0% CI (upper)"))
        found[name] = {"value": float(way.estimate_policy_value(**given)), "low": float(low), "high": float(high)}
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "sample":
        sample(Path(sys.argv[2]), sys.argv[3])
    else:
        values(Path(sys.argv[2]))
