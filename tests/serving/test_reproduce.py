"""Kept predictions come out of the log, the bundles and the code again, bit by bit; or it is said what is gone."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from features.errors import PredictionLogError
from features.settings import Settings
from serving.cli.main import build_app
from serving.predictions.files import PredictionFiles
from serving.predictions.ids import new_id
from serving.predictions.record import Made, Origin, Prediction
from serving.reproduction.reproduce import Code, Reproduced, Reproducer
from serving.rights.erasure import erase_person, finish
from tests.serving.asked_homes import asked_home, move_all
from tests.serving.conversion_homes import ALONE, copied

WHO = [f"u{number}" for number in (0, 7, 9, 12, ALONE)]


@dataclass
class Kept:
    home: Settings
    tags: list[str]
    conversions: list[str]


@pytest.fixture(scope="module")
def kept(small_champions: Settings, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Asked before, between and after live events, of which some are in the log by now and some wait."""
    home = copied(small_champions, tmp_path_factory.mktemp("asked")).model_copy(update={"predictions_share": 1.0})
    with asked_home(home) as asked:
        tags, conversions = asked.tags(WHO), [asked.conversions("u7"), asked.conversions("nobody")]
        asked.send("u0", "u7", "newcomer", "u9", "u7")
        tags += asked.tags([*WHO, "newcomer"])
        conversions += [asked.conversions(one) for one in ("u7", "newcomer", "u3")]
    move_all(home)
    with asked_home(home, first=100) as asked:
        asked.send("u7", "u0")
        tags += asked.tags(WHO[:2], min_probability=0.1)
        conversions.append(asked.conversions("u7", paid=False))
    with asked_home(home) as asked:  # a server that starts knows what live events have told of notes so far
        conversions.append(asked.conversions("u7", time=int(time.time()) + 2 * 3600))
    return Kept(home, tags, conversions)


def changed(kept: Kept, prediction: str, **other: object) -> str:
    """Keep a prediction once more, under another id, with features and an answer that it had not."""
    files = PredictionFiles(kept.home.predictions_dir)
    found = files.get(prediction)
    assert isinstance(found, Prediction)
    facts = {name: getattr(found, name) for name in ("person", "as_of", "watermark", "filled_at", "seq", "asked")}
    origin = {name: getattr(found.origin, name) for name in Origin.__dataclass_fields__} | other
    shared = {name: origin[name] for name in ("kind", "model", "schema", "source")}
    rows = np.zeros(found.shape, np.float32)
    made = Made(new_id(), answer=[], features=rows, scores=None, **facts, **shared)
    files.add([made], lambda _: Origin(**origin), features=True)
    return made.id


@pytest.fixture(scope="module")
def other(kept: Kept) -> dict[str, str]:
    """Records of what never was so, and of what is gone."""
    tags, conversions = kept.tags[0], kept.conversions[0]
    return {
        "tags": changed(kept, tags, code="another"),
        "conversions": changed(kept, conversions),
        "is gone": changed(kept, tags, model="tags-000000000000"),
        "was replaced": changed(kept, tags, manifest="0" * 64),
        "no version": changed(kept, tags, source="v99-1-abc x"),
        "another version of": changed(kept, conversions, source="elsewhere"),
        "is not kept": new_id(),
    }


@pytest.fixture(scope="module")
def found(kept: Kept, other: dict[str, str]) -> dict[str, Reproduced]:
    """What came of all, while the stores are away."""
    stores = (kept.home.store_file, kept.home.histories_file)
    for store in stores:
        shutil.move(store, store.with_suffix(".aside"))
    ids = [*kept.tags, *kept.conversions, *other.values()]
    made = list(Reproducer(kept.home).again(ids))
    for store in stores:
        shutil.move(store.with_suffix(".aside"), store)
    assert [one.id for one in made] == ids
    return {one.id: one for one in made}


def test_all_come_out_the_same_from_the_log(kept: Kept, found: dict[str, Reproduced]) -> None:
    tags, conversions = ([found[one] for one in ids] for ids in (kept.tags, kept.conversions))
    assert [one for one in (*tags, *conversions) if one.code or one.differences or one.notes] == []
    assert {(one.features, one.scores, one.answer) for one in tags} == {(True, True, True)}
    assert {(one.features, one.scores, one.answer) for one in conversions} == {(True, None, True)}
    files = PredictionFiles(kept.home.predictions_dir)
    records = {one: files.get(one) for one in found}
    # They were made of different things: live events of the person, and what was told of notes.
    for ids in ([kept.tags[0], kept.tags[5], kept.tags[-2]], [kept.conversions[place] for place in (0, 2, 6)]):
        assert len({one.features_hash for name in ids if (one := records[name]) is not None}) > 1
    last = records[kept.conversions[-1]]
    assert last is not None
    assert last.asked["notes"]["seq"] == last.seq is not None


def test_it_is_said_what_differs(other: dict[str, str], found: dict[str, Reproduced]) -> None:
    tags, conversions = found[other["tags"]], found[other["conversions"]]
    assert (tags.code, tags.features, tags.scores, tags.answer) == (Code.DIFFERENT, False, None, False)
    assert tags.said == "different: features and answer"
    assert len(tags.differences) == 10
    assert all(line.endswith("and was 0") for line in tags.differences)
    [note] = tags.notes
    assert note.endswith("and was another")
    assert (conversions.code, conversions.features, conversions.answer) == (Code.DIFFERENT, False, False)
    assert "of candidate 1 is" in conversions.differences[0]


def test_it_is_said_what_is_gone(other: dict[str, str], found: dict[str, Reproduced]) -> None:
    for said in ("is gone", "was replaced", "no version", "another version of", "is not kept"):
        assert found[other[said]].code is Code.GONE
        assert said in found[other[said]].said


def test_after_an_erasure_it_is_said_that_people_were_erased(kept: Kept, tmp_path: Path) -> None:
    home = copied(kept.home, tmp_path)
    person = PredictionFiles(home.predictions_dir).get(kept.tags[1])
    assert person is not None
    erase_person(home, str(person.person))
    finish(home)
    mine, others = Reproducer(home).again([kept.tags[1], kept.tags[0]])
    assert (mine.code, others.code) == (Code.GONE, Code.GONE)
    assert "it was erased, refused or lost" in mine.said
    assert "people were erased (1 erasure since the prediction)" in others.said


def test_the_verb_tells_by_its_exit_code(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(kept.home.home))

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(build_app(), ["reproduce", *words])
        return done.exit_code, done.output

    code, said = run(*kept.conversions[:2])
    assert (code, said.splitlines()[-2]) == (0, "2 of 2 are the same, bit by bit")
    code, said = run("--json", new_id())
    assert (code, json.loads(said)[0]["code_name"]) == (3, "gone")
    wrong = changed(kept, kept.conversions[0])
    code, said = run("--latest", "1", new_id())
    assert code == 1
    assert f"{wrong} different: features and answer" in said
    for words, problem in ((["no id"], "no prediction's id"), ([], "no prediction is named")):
        with pytest.raises(PredictionLogError, match=problem):
            CliRunner().invoke(build_app(), ["reproduce", *words], catch_exceptions=False)
