"""Pages of memberships over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.errors import BundleError
from features.settings import Settings
from serving.client import Client, GoneError
from serving.guard.access import KeyRing
from serving.memberships import making
from serving.memberships.forgetting import MembershipsPlace, hash_of
from serving.memberships.pages import MembershipPages
from serving.memberships.versions import Versions
from tests.serving.calls import application, get
from tests.serving.membership_worlds import PEOPLE, Copy, World, make

TAGS = ("milk", "fish")
NONE = BundleError("there is no champion yet")
FIRST = World(TAGS, {person: [1, 0] for person in PEOPLE})
SECOND = World(TAGS, {person: [0, 1] for person in PEOPLE[2:]} | {PEOPLE[1]: [1, 0]})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(making, "PEOPLE_PER_PART", 3)
    return Settings(home=tmp_path / "home", mlruns=tmp_path / "mlruns", threads=1)


def client(app: Any) -> Client:
    def handler(request: httpx.Request) -> httpx.Response:
        found = get(app, str(request.url.raw_path, "ascii"))
        return httpx.Response(found.status_code, content=found.content, headers=found.headers)

    return Client("http://x", transport=httpx.MockTransport(handler))


def pages(of: MembershipPages, since: str | None, limit: int) -> list[tuple[Any, list[Any]]]:
    found, cursor = [], None
    while not found or cursor is not None:
        about, *changes = [json.loads(line) for line in of.page(since, cursor, limit).splitlines()]
        assert len(changes) <= limit
        found.append((about, changes))
        cursor = about["next"]
    return found


def test_a_copy_follows_over_http(settings: Settings, tmp_path: Path) -> None:
    app = application(NONE, tmp_path, memberships=MembershipPages(settings))
    first, _ = make(settings, FIRST, "a")
    copy: Copy = {}
    with client(app) as one:
        for page in one.memberships():
            page.apply(copy)
        assert (copy, page.version) == (FIRST.members(), first.name)
        second, _ = make(settings, SECOND, "b")
        MembershipsPlace(settings).erase([PEOPLE[1]], [])
        for page in one.memberships(since=first.name):
            page.apply(copy)
        assert (copy, page.version, page.since) == ({p: {"fish"} for p in PEOPLE[2:]}, second.name, first.name)
        Versions(settings).prune(1)
        with pytest.raises(GoneError, match=r"410 .*not kept; take everything again, without since"):
            one.membership_page(since=first.name)
        with pytest.raises(GoneError):
            one.membership_page(cursor="1.person.")


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_are_bounded_and_say_everything_once(settings: Settings, limit: int) -> None:
    first, _ = make(settings, FIRST, "a")
    make(settings, SECOND, "b")
    MembershipsPlace(settings).erase(PEOPLE[10:], [])
    lines = [line for _, some in pages(MembershipPages(settings), first.name, limit) for line in some]
    assert lines == [
        *({"erased": hash_} for hash_ in sorted(hash_of(person) for person in PEOPLE[10:])),
        {"person": PEOPLE[0], "removed": ["milk"]},
        *({"person": person, "added": ["fish"], "removed": ["milk"]} for person in PEOPLE[2:10]),
    ]


def test_a_page_ends_where_little_changed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.memberships.pages._MOST_RANGES", 1)
    version, _ = make(settings, FIRST, "a")
    found = pages(MembershipPages(settings), version.name, 10)
    assert [about["next"] for about, _ in found] == ["1.person.4000", "1.person.8000", "1.person.c000", None]
    assert [lines for _, lines in found] == [[]] * 4


def test_pages_leave_out_who_must_not_be_known_since(settings: Settings) -> None:
    first, _ = make(settings, FIRST, "a")
    since = MembershipPages(settings, lambda: {PEOPLE[0]}, lambda: {PEOPLE[1]: {"milk"}})
    ((_, lines),) = pages(since, first.name, 100)
    assert lines == [{"person": PEOPLE[0], "gone": True}, {"person": PEOPLE[1], "removed": ["milk"]}]
    ((_, everything),) = pages(since, None, 100)
    assert [line["person"] for line in everything] == PEOPLE[2:]


def test_who_may_ask(settings: Settings, tmp_path: Path) -> None:
    make(settings, FIRST, "a")
    app = application(NONE, tmp_path, loopback=False, memberships=MembershipPages(settings))
    ring = KeyRing(tmp_path / "access.json")
    secrets = {scope: ring.add(scope, [scope])[0] for scope in ("predict", "ingest", "export", "admin")}
    said = {
        scope: get(app, "/v1/memberships", headers={"Authorization": f"Bearer {secret}"}).status_code
        for scope, secret in secrets.items()
    }
    assert said == {"predict": 403, "ingest": 403, "export": 200, "admin": 200}
    assert get(app, "/v1/memberships").status_code == 401


@pytest.mark.parametrize(
    ("asked", "status"),
    [("", 404), ("?since=1", 422), ("?cursor=x", 422), ("?limit=0", 422), ("?limit=10001", 422), ("?x=1", 422)],
)
def test_what_is_refused(settings: Settings, tmp_path: Path, asked: str, status: int) -> None:
    app = application(NONE, tmp_path, memberships=MembershipPages(settings))
    assert get(app, f"/v1/memberships{asked}").status_code == status
    assert get(application(NONE, tmp_path), "/v1/memberships").status_code == 503


def test_a_cursor_before_since_is_refused(settings: Settings, tmp_path: Path) -> None:
    make(settings, FIRST, "a")
    second, _ = make(settings, SECOND, "b")
    app = application(NONE, tmp_path, memberships=MembershipPages(settings))
    refused = get(app, f"/v1/memberships?since={second.name}&cursor=1.person.")
    assert (refused.status_code, refused.json()["detail"][:36]) == (422, "the cursor is of a version before si")
