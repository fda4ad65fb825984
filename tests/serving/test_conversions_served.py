"""From files to answers: import, train, fill, serve, ask."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from features.errors import BundleError
from features.people.identity import load_key
from features.settings import Settings
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import ConversionsRequest
from serving.scoring.conversions import ConversionScorer
from serving.server.serve import serve
from tests.serving.conversion_homes import AS_OF, PEOPLE, REFUSED, copied, filled
from tests.serving.servers import free_port, running
from training.bundles.champion import champion_path, promote
from training.bundles.manifest import CONVERSION
from training.conversion.boosting import BoosterSettings
from training.conversion.bundle import load_conversion_bundle
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices, ConversionJob
from training.steps import Steps

NOTES = [f"n{i}" for i in range(12)]


def body(person: int) -> dict[str, Any]:
    return {
        "person": {"platform": "shop", "account": f"u{person}"},
        "candidates": [*NOTES, {"category": "tea", "price": 500}],
        "context": {"platform": "red", "position": 1, "time": AS_OF + 30},
    }


@pytest.mark.e2e
def test_the_whole_way_from_a_log_to_a_served_answer(conversion_home: Settings, tmp_path: Path) -> None:
    home = copied(conversion_home, tmp_path)
    home.histories_file.unlink()
    small = FitSettings(BoosterSettings(trees=8, leaves=4, min_data_in_leaf=20), min_positives=20)
    choices = ConversionChoices(fit=small, window_days=3, warm_up_days=3)
    folder = ConversionJob(home, AS_OF, choices, Steps(Console(quiet=True))).train()
    promote(home, folder, kind=CONVERSION)

    port = free_port()
    with running(home, port) as (process, url), httpx.Client(base_url=url, timeout=30) as http:
        # Without a fill there is nothing to answer from, and a fill is noticed at once.
        assert http.get("/readyz").status_code == 503
        early = http.post("/v1/conversions", json=body(7))
        assert early.status_code == 503
        assert "no store of histories yet" in early.json()["detail"]
        filled(home)
        ready = http.get("/readyz").json()
        assert (ready["conversions"]["people"], ready["conversions"]["as_of"]) == (PEOPLE, AS_OF)

        answers = [http.post("/v1/conversions", json=body(person)).json() for person in range(8)]
        assert http.post("/v1/tags", json={"people": [body(7)["person"]]}).status_code == 503
        process.send_signal(signal.SIGTERM)
        written, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "conversions are not answered yet" in written
    assert f"curl -s http://127.0.0.1:{port}/v1/conversions" in written
    assert "u7" not in written

    # The server says what the same scorer says in this process.
    store = SqliteHistories(home.histories_file)
    bundle = load_conversion_bundle(champion_path(home, CONVERSION))
    scorer = ConversionScorer(bundle, store, load_key(home))
    for person, served in enumerate(answers):
        here = scorer.answer(ConversionsRequest.model_validate(body(person)), 0)
        assert served["known"] == here.known == (person != REFUSED)
        assert (served["model"], served["as_of"], served["time"]) == (bundle.version, AS_OF, AS_OF + 30)
        for one, candidate in zip(served["candidates"], here.candidates, strict=True):
            assert one["probabilities"] == candidate.probabilities
            assert (one["expected_value"], one["value_from"]) == (candidate.expected_value, candidate.value_from)
            assert 0 < one["probabilities"]["ctcvr"] <= one["probabilities"]["click"] < 1
    store.close()
    chances = {one["probabilities"]["click"] for served in answers for one in served["candidates"]}
    assert len(chances) > 5


def test_a_corrupt_conversion_champion_is_refused_by_name(tmp_path: Path) -> None:
    home = Settings(home=tmp_path, port=free_port())
    folder = home.bundles_dir / "conversion-broken"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    home.conversion_champion_file.write_text('{"bundle": "conversion-broken"}')
    with pytest.raises(BundleError, match="conversion-broken is no bundle"):
        serve(home)
