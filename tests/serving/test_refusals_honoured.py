"""What people refuse holds from the next request on, for conversions and bid requests as for tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.people.identity import account_key, load_key
from features.settings import Settings
from serving.consent.watch import ConsentWatch
from serving.histories.sqlite_store import SqliteHistories
from serving.openrtb.people import OpenRtbSettings, read_openrtb_ids
from serving.rights.erasure import Eraser
from serving.rights.people_rights import PeopleRights
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, call
from tests.serving.conversion_homes import AS_OF, FakeConversions, copied, person_of
from tests.serving.fakes import FakeBundle, filled_store

MAPPED = OpenRtbSettings(read_openrtb_ids("user.id=red, user.buyeruid=shop"))
AT_THE_SHOP = {"Zhongcao-Platform": "shop", "Zhongcao-Account": "u7"}


@pytest.fixture
def home(conversion_home: Settings, tmp_path: Path) -> Settings:
    return copied(conversion_home, tmp_path)


@pytest.fixture
def app(home: Settings, tmp_path: Path) -> Iterator[Any]:
    key = load_key(home)
    histories, store = SqliteHistories(home.histories_file), filled_store(home.home)
    person, other = person_of(home, 7), account_key(key, "shop", "somebody else")
    with store.fill("layout-1", 3, AS_OF, replace=False) as fill:
        fill.add([person, other], np.array([[0.9, 0.25, 1], [0.25, 0.9, 1]], np.float32))
        fill.link([account_key(key, platform, "u7") for platform in ("red", "shop")], [person, person])
    watch = ConsentWatch(home, seconds=60)
    of_rows, of_acts = (watch.watch(lambda: AS_OF) for _ in range(2))
    with watch, Eraser(home) as eraser:
        yield application(
            Scorer(FakeBundle(), store, key, of_rows, of_rows.deleted_tags),
            tmp_path,
            conversions=ConversionScorer(FakeConversions(), histories, key, of_acts, of_acts.deleted_tags),
            openrtb=MAPPED,
            rights=PeopleRights(home, eraser),
        )
    histories.close()
    store.close()


def conversions(app: Any, **person: str) -> tuple[bool, Any]:
    context = {"platform": "red", "time": AS_OF + 60}
    body = {"person": person, "candidates": ["n1", "n2"], "context": context}
    answer = call(app, lambda http: http.post("/v1/conversions", json=body)).json()
    return answer["known"], answer["candidates"]


def enriched(app: Any, **user: str) -> str:
    bid = {"id": "r1", "imp": [{"id": "1"}], "tmax": 60_000, "user": user}
    return str(call(app, lambda http: http.post("/v1/openrtb/enrich", json=bid)).headers["x-zhongcao-enrich"])


def say(app: Any, method: str, path: str) -> None:
    assert call(app, lambda http: http.request(method, path, headers=AT_THE_SHOP)).status_code == 200


def test_an_opt_out_at_one_platform_holds_at_all(app: Any, home: Settings) -> None:
    named: list[dict[str, str]] = [{"platform": p, "account": "u7"} for p in ("red", "shop")]
    named.append({"person": person_of(home, 7)})
    nobody = conversions(app, platform="red", account="never seen")
    before = [conversions(app, **person) for person in named]
    assert [known for known, _ in before] == [True] * 3
    assert before[0][1] != nobody[1]
    assert (enriched(app, id="u7"), enriched(app, buyeruid="u7")) == ("enriched", "enriched")
    say(app, "PUT", "/v1/people/me/opt-out")
    assert [conversions(app, **person) for person in named] == [nobody] * 3
    assert (enriched(app, id="u7"), enriched(app, buyeruid="u7")) == ("unknown", "unknown")
    say(app, "DELETE", "/v1/people/me/opt-out")
    assert [conversions(app, **person) for person in named] == before
    assert enriched(app, id="u7") == "enriched"


def test_one_refusal_among_the_ids_of_a_bid_request_is_enough(app: Any) -> None:
    assert enriched(app, id="u7", buyeruid="somebody else") == "enriched"
    say(app, "PUT", "/v1/people/me/opt-out")
    assert enriched(app, id="u7", buyeruid="somebody else") == "unknown"
    assert enriched(app, id="never seen", buyeruid="somebody else") == "enriched"


def test_a_deleted_tag_is_no_segment(app: Any) -> None:
    say(app, "DELETE", "/v1/people/me/tags/dairy.will-buy")
    assert enriched(app, id="u7") == "no-tags"
    assert enriched(app, buyeruid="somebody else") == "enriched"


def test_an_erasure_holds_at_once(app: Any) -> None:
    say(app, "DELETE", "/v1/people/me")
    assert not conversions(app, platform="red", account="u7")[0]
    assert enriched(app, id="u7") == "unknown"
