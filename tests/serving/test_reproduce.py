"""Kept predictions come out of the log, the bundles and the code again, bit by bit; or it is said what is gone."""

from __future__ import annotations

import json
import shutil
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
from serving.reproduction.reproduce import Code, Reproducer, latest
from serving.rights.erasure import erase_person, finish
from tests.serving.asked_homes import asked_home, conversion_champion_home, fill_both, move_all
from tests.serving.conversion_homes import ALONE, copied

WHO = [f"u{number}" for number in (0, 7, 9, 12, ALONE)]


@dataclass
class Kept:
    home: Settings
    reproducer: Reproducer
    tags: list[str]
    conversions: list[str]

    @property
    def ids(self) -> list[str]:
        return [*self.tags, *self.conversions]


@pytest.fixture(scope="module")
def kept(conversion_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Asked before, between and after live events; one is moved, one waits, and the stores were filled anew."""
    home = conversion_champion_home(conversion_home, tmp_path_factory.mktemp("asked"))
    home = home.model_copy(update={"predictions_share": 1.0})
    with asked_home(home) as asked:
        tags, conversions = asked.tags(WHO), [asked.conversions("u7"), asked.conversions("nobody")]
        asked.send("u0", "u7", "newcomer", "u9", "u7")
        tags += asked.tags([*WHO, "newcomer"])
        conversions += [asked.conversions(one) for one in ("u7", "newcomer", "u3")]
        asked.send("u7", "u0")
        tags += asked.tags(WHO[:2], min_probability=0.1)
        conversions.append(asked.conversions("u7", paid=False))
    move_all(home)
    fill_both(home)
    with asked_home(home, first=100) as asked:
        asked.send("u7")
        tags += asked.tags(["u7"])
        conversions.append(asked.conversions("u7"))
    return Kept(home, Reproducer(home), tags, conversions)


def test_all_come_out_the_same_from_the_log(kept: Kept) -> None:
    for store in (kept.home.store_file, kept.home.histories_file):
        shutil.move(store, store.with_suffix(".aside"))
    try:
        found = list(kept.reproducer.again(kept.ids))
    finally:
        for store in (kept.home.store_file, kept.home.histories_file):
            shutil.move(store.with_suffix(".aside"), store)
    assert [one.code for one in found if one.differences or one.notes or one.code] == []
    assert [one.id for one in found] == kept.ids
    assert {(one.features, one.scores, one.answer) for one in found} == {(True, True, True), (True, None, True)}
    files = PredictionFiles(kept.home.predictions_dir)
    hashes = {one: files.get(one) for one in kept.ids}
    of_seven = [hashes[one] for one in (kept.conversions[0], kept.conversions[2], *kept.conversions[5:])]
    assert len({one.features_hash for one in of_seven if one is not None}) > 1
    assert sorted(latest(kept.home, 100)) == sorted(kept.ids)


def changed(kept: Kept, prediction: str, **other: object) -> str:
    """Keep a prediction once more, under another id, with something that was not so."""
    files = PredictionFiles(kept.home.predictions_dir)
    found = files.get(prediction)
    assert isinstance(found, Prediction)
    facts = {name: getattr(found, name) for name in ("person", "as_of", "watermark", "filled_at", "seq", "asked")}
    rows = np.zeros(found.shape, np.float32) if found.features is None else found.features
    origin = {name: getattr(found.origin, name) for name in Origin.__dataclass_fields__} | {
        name: other.pop(name) for name in list(other) if name in Origin.__dataclass_fields__
    }
    kind, model, schema, source = (origin[name] for name in ("kind", "model", "schema", "source"))
    answer: list[dict[str, object]] = []
    made = Made(new_id(), kind, model=model, schema=schema, source=source, answer=answer, features=rows,
                scores=None, **(facts | other))  # type: ignore[arg-type]  # fmt: skip
    files.add([made], lambda _: Origin(**origin), features=True)  # type: ignore[arg-type]
    return made.id


def test_it_is_said_what_differs(kept: Kept) -> None:
    [tags, conversions] = kept.reproducer.again(
        [changed(kept, kept.tags[0], code="another"), changed(kept, kept.conversions[0])]
    )
    assert (tags.code, tags.features, tags.scores, tags.answer) == (Code.DIFFERENT, False, None, False)
    assert tags.said == "different: features and answer"
    assert any("is 0" not in line and line.endswith("and was 0") for line in tags.differences)
    assert len(tags.differences) == 10
    [note] = tags.notes
    assert note.endswith("and was another")
    assert (conversions.code, conversions.features, conversions.answer) == (Code.DIFFERENT, False, False)
    assert "of candidate 1 is" in conversions.differences[0]


def test_it_is_said_what_is_gone(kept: Kept) -> None:
    gone = [
        changed(kept, kept.tags[0], model="tags-000000000000"),
        changed(kept, kept.tags[0], manifest="0" * 64),
        changed(kept, kept.tags[0], source="v99-1-abc x"),
        changed(kept, kept.conversions[0], source="elsewhere"),
        new_id(),
    ]
    found = list(kept.reproducer.again(gone))
    assert [one.code for one in found] == [Code.GONE] * 5
    for one, said in zip(
        found, ("is gone", "was replaced", "no version", "another version of", "not kept"), strict=True
    ):
        assert said in one.said
    [other] = kept.reproducer.again([changed(kept, kept.tags[0], source="v0-1-abc x")])
    assert "links or refusals of people have changed" in other.notes[0]


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
