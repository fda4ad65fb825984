"""The champion pointers: which bundle of each kind serves, and which ones did before, in one small file a kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from features.durable import write_durably
from features.errors import BundleError
from features.locks import exclusive
from features.settings import Settings
from training.bundles.manifest import CONVERSION, Kind, canonical_json

KEPT: Final = 10
"""Promotions that a pointer remembers."""

_LARGEST_BYTES: Final = 65_536
How = Literal["promoted", "rolled back"]
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Promotion:
    """One move of a pointer.

    Parameters
    ----------
    bundle
        Name of the bundle's folder.
    at
        When, epoch seconds.
    how
        Whether the bundle was promoted, or came back by a rollback.
    by
        Name of the account of this machine that did it, empty where that is not known.
    """

    bundle: str
    at: int
    how: How = "promoted"
    by: str = ""


def pointer_file(settings: Settings, kind: Kind) -> Path:
    """Return the file that names the champion of a kind."""
    return settings.conversion_champion_file if kind is CONVERSION else settings.champion_file


def pointer_stamp(settings: Settings, kind: Kind) -> Stamp | None:
    """Return what changes whenever the pointer is written, also with the same name; None where there is none."""
    try:
        found = pointer_file(settings, kind).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def pointed_name(settings: Settings, kind: Kind) -> str:
    """Return the name that a pointer holds.

    Raises
    ------
    BundleError
        Nothing was promoted yet, or the file is no pointer.
    """
    try:
        return str(_read(pointer_file(settings, kind))["bundle"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        verb = "train conversion" if kind is CONVERSION else "retrain"
        raise BundleError("there is no champion yet", next_step=f"run `zhongcao {verb}` first") from error


def promotions(settings: Settings, kind: Kind) -> tuple[Promotion, ...]:
    """Return the moves of a pointer that it remembers, the latest first; none where there is no pointer."""
    path = pointer_file(settings, kind)
    try:
        held = _read(path)
        known = tuple(Promotion(**move) for move in held.get("promotions", ()))
        # Pointers of earlier versions, and those that were written by hand, have no history.
        return known or (Promotion(str(held["bundle"]), int(path.stat().st_mtime)),)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def served_before(moves: Sequence[Promotion]) -> Promotion | None:
    """Return the promotion that a rollback leads back to: bundles that were rolled back from are passed over.

    Parameters
    ----------
    moves
        Of one pointer, the latest first.

    Examples
    --------
    >>> a, b, c = Promotion("a", 1), Promotion("b", 2), Promotion("c", 3)
    >>> served_before([c, b, a]).bundle
    'b'
    >>> served_before([Promotion("b", 4, "rolled back"), c, b, a]).bundle
    'a'
    >>> served_before([a]) is None
    True
    """
    stack: list[Promotion] = []
    for move in reversed(moves):
        if move.how == "rolled back":
            while stack and stack[-1].bundle != move.bundle:
                stack.pop()
        if not stack or stack[-1].bundle != move.bundle:
            stack.append(move)
    return stack[-2] if len(stack) > 1 else None


def move_pointer(settings: Settings, kind: Kind, move: Promotion, *, left: str | None = None) -> None:
    """Write a pointer in one step; a bundle that it names already is named anew, for servers to try it again.

    Parameters
    ----------
    settings, kind
        Which pointer.
    move
        What it shall name.
    left
        What it must name until then, if that matters.

    Raises
    ------
    BundleError
        Somebody else moved the pointer meanwhile.
    """
    path = pointer_file(settings, kind)
    with exclusive(path.with_name(f"{path.name}.lock")):
        known = promotions(settings, kind)
        if left is not None and (not known or known[0].bundle != left):
            raise BundleError(
                "another bundle was promoted meanwhile",
                value=known[0].bundle if known else "none",
                next_step="look at `zhongcao serving status`",
            )
        same = bool(known) and known[0].bundle == move.bundle
        kept = known if same else (move, *known)
        content = {"bundle": move.bundle, "promotions": [asdict(one) for one in kept[:KEPT]]}
        write_durably(path, canonical_json(content))


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(_LARGEST_BYTES + 1)
    if len(text) > _LARGEST_BYTES:
        raise ValueError("too large for a pointer")
    held: dict[str, Any] = json.loads(text)
    return held
