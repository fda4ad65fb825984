from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.people.acts import code_of
from serving.histories.note_catalogue import NoteCatalogue

NOTES = pa.table(
    {
        "note": ["n1", "n2"], "brand": [None, "x"], "paid": [None, True], "media": ["video", None],
        "published_at": [7, None], "price": [None, 300],
    }
)  # fmt: skip


def test_a_note_is_its_row_and_an_unknown_one_is_nothing() -> None:
    notes = NoteCatalogue(NOTES)
    places = notes.places(["n2", None, "n1", "n9"])
    assert places.tolist() == [1, -1, 0, -1]
    assert notes.codes["brand"][places].tolist() == [code_of("x"), 0, 0, 0]
    np.testing.assert_array_equal(notes.numbers["video"][places], [np.nan, np.nan, 1, np.nan])
    np.testing.assert_array_equal(notes.numbers["published_at"][places], [np.nan, np.nan, 7, np.nan])
    assert notes.numbers["paid"][places].tolist() == [1, 0, 0, 0]
    assert [(notes.price[place], notes.brand[place]) for place in places[:2]] == [(300, "x"), (None, None)]


def test_codes_on_many_platforms_are_right_though_few_are_kept() -> None:
    notes = NoteCatalogue(NOTES)
    asked = ["n1", "n9", None, "n2"]
    places = notes.places(asked)
    for platform in [f"p{number}" for number in range(20)] * 2:
        wanted = [0 if note is None else code_of(f"{note}\x1f{platform}") for note in asked]
        assert notes.on_platform(platform, asked, places).tolist() == wanted
    assert len(notes._on) < 20
