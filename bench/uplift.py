"""Uplift on a trial: ours beside causalml, scikit-uplift and econml, on the same folds with the same base learner.

Per outcome and treated arm, people are dealt to five folds; everybody is scored by fits without their fold. Before
each fit, LightGBM settings are chosen from a short list on inner folds of the people to learn from (the settings
under which our S-, T- and X-learner together have the lowest R-loss), and handed to every contestant; "zhongcao" is
the mean of our S- and X-learner, as the command takes by default. Qini of all
people under each contestant, with 95 % intervals and differences from a paired bootstrap, widened because everybody
is scored by fits on the others (training.uplift.intervals.OUT_OF_FOLD). The best peer is found in hindsight, so the
chance that the best of them all is so far ahead by luck stands beside its interval. The peers run in an environment
of their own, made with pip for this run and thrown away; folds go there and effects come back as .npy files. Other
outcomes of the trial are found by themselves and left out; --ignore names more.

    python -m bench.uplift --data CSV --treatment COL --outcome COL [--outcome COL] --json PATH
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from rich.console import Console
from rich.table import Table

from bench.harness import write_json
from training.uplift.base import weak_effect_settings
from training.uplift.choice import r_losses
from training.uplift.curves import normalised_qini, uplift_curve
from training.uplift.folds import balanced_folds, levelled
from training.uplift.intervals import OUT_OF_FOLD, Interval, draw_rankings
from training.uplift.learners import SLearner, TLearner, UpliftLearner, XLearner
from training.uplift.trial import Trial, read_trial

PEERS: Final = ("causalml==0.18.0", "scikit-uplift==0.5.1", "econml==0.17.0", "lightgbm==4.7.0")
FIXED: Final = {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "random_state": 7, "verbose": -1}
OURS: Final[dict[str, type[UpliftLearner]]] = {"x": XLearner, "t": TLearner, "s": SLearner}
HEADLINE: Final = "zhongcao"
"""The mean of S- and X-learner, as `training.uplift.averaged.AveragedLearner` takes it."""


def settings_list(rows: int) -> list[dict[str, Any]]:
    """Return the settings to choose from: our default, smaller and larger trees, and LightGBM's defaults."""
    usual = weak_effect_settings(rows)
    return [
        usual,
        usual | {"num_leaves": 2, "n_estimators": 100},
        usual | {"num_leaves": 3, "n_estimators": 30, "min_child_samples": 2 * usual["min_child_samples"]},
        usual | {"num_leaves": 7, "n_estimators": 100, "min_child_samples": 200},
        {"n_estimators": 100, "num_leaves": 31, "learning_rate": 0.1, "min_child_samples": 20},
    ]


def learner(kind: type[UpliftLearner], settings: dict[str, Any]) -> UpliftLearner:
    """Return a learner of ours over the given base settings."""
    models = [LGBMClassifier(**settings, **FIXED)]
    if kind is XLearner:
        models.append(LGBMRegressor(**settings, **FIXED))
    return kind(*models)


def choose(X: Any, codes: Any, y: Any) -> int:
    """Return which settings explain people of inner folds best over our three learners."""
    listed = settings_list(len(y) // 2)
    candidates = [learner(kind, settings) for settings in listed for kind in OURS.values()]
    losses = r_losses(candidates, X, codes, y).reshape(len(listed), -1)
    return int(losses.sum(axis=1).argmin())


def make_environment(folder: Path) -> Path:
    """Install the peers into an environment of their own, those that can be; return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--only-binary", ":all:"]
        if subprocess.run([*pip, *PEERS], check=False).returncode:
            for peer in reversed(PEERS):
                subprocess.run([*pip, peer], check=False)
    return python


def contest(trial: Trial, arm: int, python: Path, resamples: int) -> dict[str, Any]:
    """Score everybody of one arm and of the control with every contestant, and compare."""
    rows = (trial.codes == 0) | (trial.codes == arm)
    X, y = np.nan_to_num(trial.X[rows]), trial.outcome[rows]
    codes = (trial.codes[rows] == arm).astype(np.int64)
    fold = balanced_folds(codes, y, 5, seed=7)
    chosen = [choose(X[fold != one], codes[fold != one], y[fold != one]) for one in range(5)]
    settings = [settings_list((fold != 0).sum() // 2)[place] for place in chosen]
    scores = {f"zhongcao_{letter}": np.empty(len(y)) for letter in OURS}
    for letter, kind in OURS.items():
        for one in range(5):
            kept, held = fold != one, fold == one
            fitted = learner(kind, settings[one]).fit(X[kept], codes[kept], y[kept])
            scores[f"zhongcao_{letter}"][held] = fitted.predict(X[held])
    scores[HEADLINE] = (scores["zhongcao_s"] + scores["zhongcao_x"]) / 2
    arrays = {"X": X, "treated": codes, "y": y, "fold": fold}
    peers, said = ask_peers(python, arrays, [one | FIXED for one in settings])
    scores |= peers
    scores = {name: levelled(values, fold) for name, values in scores.items()}
    draws = draw_rankings(scores, codes == 1, y, stretch=OUT_OF_FOLD, resamples=resamples, seed=7)
    best = max(peers, key=lambda name: draws[name].qini[0], default=None)
    result: dict[str, Any] = {
        "people": len(y),
        "effect": list(Interval.of(draws[HEADLINE].effect)),
        "settings_chosen": chosen,
        "qini": {name: list(Interval.of(found.qini)) for name, found in draws.items()},
        "auuc": {name: list(Interval.of(found.auuc)) for name, found in draws.items()},
        "top_10_percent_effect": {name: list(Interval.of(found.top[0.1])) for name, found in draws.items()},
        "normalised_qini": {name: normalised_qini(values, codes == 1, y) for name, values in scores.items()},
        "best_peer": best,
        **said,
    }
    if best:
        result["difference_to_best_peer"] = {
            name: list(Interval.of(draws[name].qini - draws[best].qini)) for name in draws if name != best
        }
        result["not_below_best_peer"] = result["difference_to_best_peer"][HEADLINE][2] >= 0
        ahead = np.stack([draws[name].qini - draws[HEADLINE].qini for name in peers])
        result["p_best_of_peers_is_better"] = chance_of_best(ahead)
        result["difference_to_same_learner_of_causalml"] = {
            letter: list(Interval.of(draws[f"zhongcao_{letter}"].qini - draws[f"causalml_{letter}"].qini))
            for letter in OURS
            if f"causalml_{letter}" in draws
        }
    assert np.isclose(uplift_curve(scores[HEADLINE], codes == 1, y).qini, draws[HEADLINE].qini[0])
    return result


def chance_of_best(ahead: Any) -> float:
    """Return how often the best of several rivals is as far ahead as seen, if none of them is ahead in truth.

    The best is picked after the fact, so its own interval is too hopeful: the more rivals, the further ahead the
    luckiest. Source: Hansen, A test for superior predictive ability, Journal of Business & Economic Statistics,
    2005, with all rivals kept (the conservative variant).

    Parameters
    ----------
    ahead
        Rivals × (1 + draws): how far each is ahead, on the people as they are and on each draw of them.
    """
    spread = np.maximum(ahead[:, 1:].std(axis=1, keepdims=True), 1e-12)
    seen = (ahead[:, :1] / spread).max()
    return float(np.mean(((ahead[:, 1:] - ahead[:, :1]) / spread).max(axis=0) >= seen))


def ask_peers(
    python: Path, arrays: dict[str, Any], settings: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the peers' effects by name, and their versions and what could not be run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        # As text: the other environment has none of our packages, and its own may bear the names of our benches.
        script = Path(__file__).with_name("uplift_peers.py").read_text(encoding="utf-8")
        call = f"{script}\nmain(Path({scratch!r}))\n"
        environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HOME": scratch}
        subprocess.run([str(python), "-c", call], check=True, env=environment, stdout=sys.stderr, cwd=scratch)
        effects = {path.stem.removeprefix("peer_"): np.load(path) for path in sorted(folder.glob("peer_*.npy"))}
        return effects, json.loads((folder / "peers.json").read_text(encoding="utf-8"))


def show(title: str, result: dict[str, Any]) -> None:
    """Print one line per contestant."""
    best = result["best_peer"]
    table = Table(title=f"{title}: Qini × 10,000 with 95 % interval", title_justify="left")
    for heading in ("", "Qini", "above the best peer", "AUUC", "effect of the top 10 %"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in sorted(result["qini"], key=lambda one: -result["qini"][one][0]):
        above = result.get("difference_to_best_peer", {}).get(name)
        table.add_row(
            name + (" (best peer)" if name == best else ""),
            _interval(result["qini"][name]),
            _interval(above) if above else "",
            _interval(result["auuc"][name]),
            _interval(result["top_10_percent_effect"][name]),
        )
    for package, reason in result["missing"].items():
        table.add_row(package, "not run", reason[:60])
    Console(width=140).print(table)
    if best:
        print(
            f"chance that the best of the peers is so far ahead by luck: {result['p_best_of_peers_is_better']:.2f}"
        )


def _interval(found: list[float]) -> str:
    value, low, high = (10_000 * figure for figure in found)
    return f"{value:+.1f} ({low:+.1f} … {high:+.1f})"


def main() -> None:
    """Run the contest on every outcome and arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="CSV of a trial; nothing is measured without one")
    parser.add_argument("--treatment", default="segment")
    parser.add_argument("--outcome", action="append", default=[], help="0 or 1; may be given several times")
    parser.add_argument("--control", help="value of the control arm, where it cannot be told")
    parser.add_argument("--ignore", action="append", default=[], help="a column that is not to be used")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--environment", type=Path, help="make the peers' environment here and keep it")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.data is None or not arguments.outcome:
        print("nothing to measure: give --data CSV --treatment COL --outcome COL of a randomised trial")
        return
    with tempfile.TemporaryDirectory() as scratch:
        python = make_environment((arguments.environment or Path(scratch) / "peers").absolute())
        results: dict[str, Any] = {"peers": PEERS, "headline": HEADLINE}
        for outcome in arguments.outcome:
            ignore = {*arguments.ignore, *arguments.outcome} - {outcome}
            trial = read_trial(
                arguments.data, treatment=arguments.treatment, outcome=outcome, control=arguments.control,
                ignore=ignore,
            )  # fmt: skip
            print(f"{outcome}: {len(trial.columns)} columns; left out: {trial.left_out or 'none'}")
            results[outcome] = {"left_out": trial.left_out, "columns": trial.columns}
            for arm, name in enumerate(trial.arms.treated, 1):
                results[outcome][str(name)] = found = contest(trial, arm, python, arguments.resamples)
                show(f"{outcome}, {name}", found)
                write_json(arguments.json, results)


if __name__ == "__main__":
    main()
