"""The locks name everything that an installation needs, by hash and without places."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.source_tree import ROOT

ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+) \\$", re.MULTILINE)
CORE, SCALE = "requirements.lock", "requirements-scale.lock"
LOCKS = {name: (ROOT / name).read_text(encoding="utf-8") for name in (CORE, SCALE)}
PINS = {
    name: {canonicalize_name(package): version for package, version in ENTRY.findall(lock)}
    for name, lock in LOCKS.items()
}
BEYOND_ONE_MACHINE = {"dask", "redis", "spark"}


def declared() -> list[tuple[str, str]]:
    """Requirements of the project, of its extras and of its build, each with the lock that pins it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    core = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    pinned = [(CORE, requirement) for requirement in core]
    for extra, requirements in extras.items():
        pinned += [(SCALE if extra in BEYOND_ONE_MACHINE else CORE, requirement) for requirement in requirements]
    return pinned


@pytest.mark.parametrize(("lock", "text"), declared())
def test_declared_requirement_is_pinned_within_its_range(lock: str, text: str) -> None:
    requirement = Requirement(text)
    assert PINS[lock][canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9][^ ]*==)", LOCKS[lock], flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINS[lock]) > sum(name == lock for name, _ in declared())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_places_are_named(lock: str) -> None:
    assert re.findall(r"\S*://\S*|file:/\S*|^-\S+|\S*/(?:tmp|root|home)/\S*", LOCKS[lock], re.MULTILINE) == []


def test_one_machine_needs_neither_dask_nor_spark() -> None:
    assert set(PINS[CORE]) & set(PINS[SCALE]) == set()
    assert {"dask", "distributed", "pyspark"} <= set(PINS[SCALE])
