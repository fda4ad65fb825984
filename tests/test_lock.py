"""The lock names everything that an installation needs, by hash and without places."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.source_tree import ROOT

ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+) \\$", re.MULTILINE)
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = {canonicalize_name(name): version for name, version in ENTRY.findall(LOCK)}


def declared() -> list[str]:
    """Requirements of the project, of its extras and of its build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    return [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(requirement for extra in extras for requirement in extra),
    ]


@pytest.mark.parametrize("text", declared())
def test_declared_requirement_is_pinned_within_its_range(text: str) -> None:
    requirement = Requirement(text)
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_pin_has_hashes() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9][^ ]*==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINS) > len(declared())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_places_are_named() -> None:
    assert re.findall(r"\S*://\S*|file:/\S*|^-\S+|\S*/(?:tmp|root|home)/\S*", LOCK, re.MULTILINE) == []
