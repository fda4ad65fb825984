"""Kinds of bundles that must not serve: each spoils a copy of a good one, in many ways by its seed."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.serving.bundle_variants import change_json, sign, variant
from training.bundles.manifest import MANIFEST
from training.tags.bundle import load_bundle

Spoil = Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Corrupt:
    """One kind.

    Parameters
    ----------
    spoil
        Changes a copy.
    said
        What the refusal says, a pattern.
    signed
        Whether manifest and name are made to fit afterwards, as somebody would who could write to the folder.
    child
        Whether only a process of its own can find out.
    """

    spoil: Spoil
    said: str
    signed: bool = False
    child: bool = False

    def make(self, bundle: Path, seed: int) -> Path:
        """Return the spoiled copy of a bundle, beside it."""
        rng = random.Random(f"{self.spoil.__name__} {seed}")
        copy = variant(bundle, lambda folder: change_json(folder / "about.json", seed=rng.random()))
        if not self.signed:
            self.spoil(copy, rng)
            return copy
        return variant(copy, lambda folder: self.spoil(folder, rng))


def _some_file(folder: Path, rng: random.Random) -> Path:
    return rng.choice(sorted(path for path in folder.iterdir() if path.name != MANIFEST))


def _truncated(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(["pooled.txt", "heads.json"])
    os.truncate(path, rng.randrange(path.stat().st_size))


def _flipped(folder: Path, rng: random.Random) -> None:
    path = _some_file(folder, rng)
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _missing(folder: Path, rng: random.Random) -> None:
    _some_file(folder, rng).unlink()


def _extra(folder: Path, rng: random.Random) -> None:
    (folder / rng.choice(["model.pkl", ".hidden", "again.npy", "x" * 200])).write_bytes(rng.randbytes(9))


def _wrong_hash(folder: Path, rng: random.Random) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change_json(folder / MANIFEST, files=files | {rng.choice(sorted(files)): rng.randbytes(32).hex()})


def _no_manifest(folder: Path, rng: random.Random) -> None:
    texts = [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"format": 1}', b'{"a":' * 100_000]
    (folder / MANIFEST).write_bytes(rng.choice([*texts, rng.randbytes(500)]))


def _endless_manifest(folder: Path, rng: random.Random) -> None:
    os.truncate(folder / MANIFEST, rng.randrange(2 << 20, 1 << 40))


def _huge(folder: Path, rng: random.Random) -> None:
    # Sparse: it takes no room on the disk, and would take minutes to hash.
    os.truncate(_some_file(folder, rng), rng.randrange(3 << 30, 1 << 42))


def _linked(folder: Path, rng: random.Random) -> None:
    path = _some_file(folder, rng)
    outside = folder.parent.parent / f"outside-{path.name}"
    path.rename(outside)
    path.symlink_to(outside)


def _pipe(folder: Path, rng: random.Random) -> None:
    path = _some_file(folder, rng)
    path.unlink()
    os.mkfifo(path)


def _other_manifest(folder: Path, rng: random.Random) -> None:
    change_json(folder / "about.json", other=rng.random())
    sign(folder)


def _other_kind(folder: Path, rng: random.Random) -> None:
    named = rng.choice([{"format": "zhongcao.conversion"}, {"format": "someone.else"}, {"format_version": 99}])
    change_json(folder / MANIFEST, **named)


def _outside_name(folder: Path, rng: random.Random) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    name = rng.choice(["../../key", "/etc/hostname", "../champion.json"])
    change_json(folder / MANIFEST, files=files | {name: "0" * 64})


def _text(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "pooled.txt"
    # Without the trees' sizes in bytes LightGBM reads on where a tree has grown.
    text = re.sub(r"tree_sizes=[^\n]*\n", "", path.read_text())
    changed = change(text)
    assert changed != text
    path.write_text(changed)


def _other_leaves(folder: Path, rng: random.Random) -> None:
    digit, leaves = rng.randrange(1, 9), rng.randrange(1, 4)
    _text(folder, lambda text: text.replace("leaf_value=", f"leaf_value={digit}", leaves))


def _other_golden(folder: Path, rng: random.Random) -> None:
    found = np.load(folder / "golden_probabilities.npy")
    known = np.flatnonzero(np.isfinite(found))
    found.flat[rng.choice(known.tolist())] += rng.choice([-1, 1]) * 10.0 ** rng.randrange(-8, 0)
    np.save(folder / "golden_probabilities.npy", found)


def _crashing(folder: Path, rng: random.Random) -> None:
    field, value = rng.choice([("split_feature", 10**8), ("left_child", 10**8), ("right_child", -(10**8))])
    _text(folder, lambda text: re.sub(rf"(?<={field}=)-?\d+", str(value + rng.randrange(1000)), text))


def _circle(folder: Path, rng: random.Random) -> None:
    # A node whose children are the node itself: whoever walks the tree never arrives.
    def turned(text: str) -> str:
        for side in ("left_child", "right_child"):
            text = re.sub(rf"(?<={side}=)[-\d ]+", lambda found: " ".join("0" for _ in found[0].split()), text)
        return text

    _text(folder, turned)
    change_json(folder / "about.json", seed=rng.random())


def _no_numbers(folder: Path, rng: random.Random) -> None:
    some = rng.randrange(1, 4)

    def emptied(found: re.Match[str]) -> str:
        return " ".join(["nan"] * len(found[0].split()))

    _text(folder, lambda text: re.sub(r"(?<=leaf_value=)[^\n]+", emptied, text, count=some))
    # Recorded as it is answered, so that only a look at the numbers themselves can tell.
    sign(folder)
    model = load_bundle(folder).model
    rows = np.load(folder / "golden_rows.npy")
    np.save(folder / "golden_probabilities.npy", model.predict(rows, compact=False))


def _other_json(folder: Path, rng: random.Random) -> None:
    name = rng.choice(["layout.json", "taxonomy.json", "decision.json", "about.json"])
    (folder / name).write_text(rng.choice(["{}", "[]", "null", "7", '{"as_of": "x"}', "{", "\x00"]))


def _other_arrays(folder: Path, rng: random.Random) -> None:
    name = rng.choice(["statics.npy", "outlook_own.npy", "golden_rows.npy", "golden_probabilities.npy"])
    odd = [np.zeros((1, 1, 1, 1)), np.array(["text"]), np.array([{"an": "object"}], dtype=object)]
    np.save(folder / name, rng.choice(odd), allow_pickle=True)


KINDS: dict[str, Corrupt] = {
    "truncated model": Corrupt(_truncated, "corrupt: the hash"),
    "flipped bit": Corrupt(_flipped, "corrupt: the hash"),
    "missing file": Corrupt(_missing, "missing or unlisted"),
    "extra file": Corrupt(_extra, "missing or unlisted"),
    "wrong hash": Corrupt(_wrong_hash, "corrupt: the hash"),
    "manifest that is none": Corrupt(_no_manifest, "no bundle|RecursionError"),
    "endless manifest": Corrupt(_endless_manifest, "too large"),
    "huge file": Corrupt(_huge, "too large"),
    "link to outside": Corrupt(_linked, "not a plain file"),
    "pipe": Corrupt(_pipe, "not a plain file"),
    "manifest of another": Corrupt(_other_manifest, "named after"),
    "other kind or format": Corrupt(_other_kind, "foreign"),
    "names that lead outside": Corrupt(_outside_name, "missing or unlisted"),
    "other leaves": Corrupt(_other_leaves, "differently", signed=True),
    "other golden rows": Corrupt(_other_golden, "differently", signed=True),
    "no probabilities": Corrupt(_no_numbers, "no probability", signed=True),
    "other JSON": Corrupt(_other_json, "another version|refused|could not be loaded", signed=True),
    "other arrays": Corrupt(_other_arrays, "another version|refused|could not be loaded", signed=True),
    "model that crashes LightGBM": Corrupt(_crashing, "refused", signed=True, child=True),
    "model without an end": Corrupt(_circle, "did not score its golden rows in", signed=True, child=True),
}
