"""A thousand predictions of a real server, live events in between: every one comes out again, bit by bit."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from features.rows.catalog import layout_for
from features.settings import Settings
from serving.predictions.files import PredictionFiles
from serving.reproduction.reproduce import Reproducer, latest
from tests.serving.asked_homes import fill_both, move_all
from tests.serving.conversion_homes import AS_OF, DAY, START, conversion_log
from tests.serving.homes import tiny_model
from tests.serving.live_homes import TAXONOMY, event
from tests.serving.servers import free_port, running
from training.bundles.champion import promote
from training.bundles.manifest import CONVERSION
from training.conversion.boosting import BoosterSettings
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices, ConversionJob
from training.conversion.tag_choice import NEWEST
from training.steps import Steps
from training.tags.bundle import write_bundle

PREDICTIONS = int(os.environ.get("PREDICTIONS", "1000"))
KINDS = ("cart", "click", "impression", "purchase")
EVENTS = ("click", "purchase", "impression", "cart")


def trained_home(folder: Path) -> Settings:
    """A home with a conversion model that reads scores of tags."""
    home = conversion_log(folder).model_copy(update={"predictions_share": 1.0})
    model, _ = tiny_model(layout_for(TAXONOMY, KINDS), TAXONOMY, [f"p{n}" for n in range(60)], (START, START + DAY))
    tags = write_bundle(model, {"made": "for a test"}, START + 13 * DAY, home.bundles_dir)
    promote(home, tags)
    small = FitSettings(BoosterSettings(trees=8, leaves=4, min_data_in_leaf=20), min_positives=20)
    choices = ConversionChoices(fit=small, window_days=3, warm_up_days=3, most_days=7, tags=NEWEST)
    promote(home, ConversionJob(home, AS_OF, choices, Steps(Console(quiet=True))).train(), kind=CONVERSION)
    fill_both(home)
    return home


def ask(http: httpx.Client, dice: random.Random, many: int, numbers: list[int]) -> None:
    """Ask for tags and conversions by turns, and send events of whoever is asked about."""
    made = 0
    while made < many:
        who = [f"u{dice.randrange(66)}" for _ in range(4)]
        people = [{"platform": "shop", "account": one} for one in who]
        body: dict[str, Any] = {"people": people, "top": dice.randrange(1, 5), "explain": dice.random() < 0.2}
        answer = http.post("/v1/tags", json=body)
        assert answer.status_code == 200, answer.text
        made += sum(one["prediction_id"] is not None for one in answer.json()["people"])
        for one in who:
            candidates = [*dice.sample([f"n{n}" for n in range(12)], 3), {"note": "n2", "price": 700}]
            context = {"platform": dice.choice(["red", "shop"]), "position": dice.randrange(9)}
            if dice.random() < 0.3:
                context["time"] = int(time.time()) + dice.randrange(60, 8 * 3600)
            person = {"platform": "shop", "account": one}
            body = {"person": person, "candidates": candidates, "context": context, "explain": dice.random() < 0.1}
            answer = http.post("/v1/conversions", json=body)
            assert answer.status_code == 200, answer.text
            made += 1
        events = []
        for one in dice.sample(who, 2):
            numbers.append(len(numbers))
            kind, note = EVENTS[numbers[-1] % 4], f"n{dice.randrange(12)}"
            events.append(event(900_000 + numbers[-1], one, int(time.time()), kind, note=note))
        sent = http.post("/v1/events", json={"events": events})
        assert sent.json()["accepted"] == len(events), sent.text
        time.sleep(dice.random() / 20)


def test_every_prediction_comes_out_again(tmp_path: Path) -> None:
    home = trained_home(tmp_path)
    dice, numbers = random.Random(6), list[int]()
    # A third each: of one fill; of a server that starts again in the midst of live events; of another fill.
    for part in range(3):
        if part == 2:
            move_all(home)
            fill_both(home)
        keep = {"predictions_share": "1", "mlruns": str(home.mlruns)}
        with (
            running(home, free_port(), seconds=1800, **keep) as (_, url),
            httpx.Client(base_url=url, timeout=30) as http,
        ):
            ask(http, dice, -(-PREDICTIONS // 3), numbers)
            time.sleep(3)  # the last second's predictions are written
    ids = latest(home, PREDICTIONS)
    assert len(ids) == PREDICTIONS
    begun, told = time.monotonic(), Counter[str]()
    wrong = []
    for one in Reproducer(home).again(ids):
        told[one.code.name] += 1
        wrong += [one] if one.code or one.notes else []
    kinds = Counter(found.origin.kind for one in ids if (found := PredictionFiles(home.predictions_dir).get(one)))
    sys.stdout.write(
        f"{dict(kinds)}, {len(numbers)} live events in between: {told['SAME']:,} of {len(ids):,} are the same, "
        f"bit by bit, in {time.monotonic() - begun:.0f} s\n"
    )
    assert wrong == []
    assert min(kinds["tags"], kinds["conversions"]) > PREDICTIONS // 5
