"""The client against the whole application, in this process."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.erasure import erasures
from features.log.event_log import EventLog
from features.people.identity import load_key
from features.settings import Settings
from serving import client
from serving.api import events
from serving.api.events import Ingest, open_ingest
from serving.client import Account, AsyncClient, Client, PersonKey
from serving.guard.access import KeyRing
from serving.histories.sqlite_store import SqliteHistories
from serving.messages import conversion_schemas, schemas, tag_schemas
from serving.openrtb.people import OpenRtbSettings, read_openrtb_ids
from serving.rights import people_rights
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, call
from tests.serving.conversion_homes import AS_OF, FakeConversions
from tests.serving.fakes import LINKED, TAXONOMY, fake_scorer
from tests.source_tree import ROOT

URL = "http://127.0.0.1:3000"
MAPPED = OpenRtbSettings(read_openrtb_ids("user.id=shop"))
LOVER = Account("shop", "dairy lover")
ITS_OWN = {"anyio", "rich"}
"""What httpx itself may import."""


class InProcess(httpx.BaseTransport):
    """Hands the requests of a synchronous client to an application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = call(
            self._app,
            lambda http: http.request(
                request.method, str(request.url), content=request.read(), headers=request.headers
            ),
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def zhongcao(scorer: Scorer, tmp_path: Path) -> Iterator[Client]:
    with Client(URL, transport=InProcess(application(scorer, tmp_path, openrtb=MAPPED))) as one:
        yield one


def test_tags(zhongcao: Client) -> None:
    answer = zhongcao.tags([LOVER, PersonKey(LINKED), Account("x", "y")], top=1, min_probability=0.2, explain=True)
    assert [person.status for person in answer.people] == ["known", "known", "unknown"]
    best = answer.people[0].tags[0]
    assert (best.id, best.probability, best.assigned) == ("dairy.will-buy", 0.9, True)
    assert best.factors
    assert best.factors[1].value is None
    assert (answer.model, len(answer.request_id)) == ("fake-1", 16)
    assert zhongcao.tags([LOVER]).people[0].tags[0].factors is None


def test_catalogue_and_labels(zhongcao: Client) -> None:
    found = zhongcao.catalogue()
    assert ([tag.id for tag in found.tags], found.next) == ([tag.id for tag in TAXONOMY.tags], None)
    assert zhongcao.tag("bread.will-buy").label["segmentation criteria"] == "count(purchase) >= 1"


def test_the_own_view(zhongcao: Client) -> None:
    assert zhongcao.own_tags(LOVER).tags[0].meaning == "Buys Dairy within 30 days."
    assert zhongcao.own_tags(Account("小红书", "种草 %")).status == "unknown"


def test_bid_requests(zhongcao: Client) -> None:
    bid = {"id": "1", "tmax": 60_000, "user": {"id": "dairy lover"}}
    answer = zhongcao.openrtb_enrich(bid)
    assert (answer.status, answer.bid_request["user"]["data"][0]["name"]) == ("enriched", "shop")
    text = json.dumps(bid | {"user": {"id": "nobody"}}, indent=1)
    unchanged = zhongcao.openrtb_enrich(text)
    assert (unchanged.status, unchanged.body) == ("unknown", text.encode())


def test_refusals_have_names(zhongcao: Client) -> None:
    with pytest.raises(client.NotValidError, match=r"422 the body has 1 fault.*people: List should") as invalid:
        zhongcao.tags([])
    assert invalid.value.errors[0]["where"] == "people"
    assert len(invalid.value.request_id) == 16
    with pytest.raises(client.NotFoundError, match="no such tag"):
        zhongcao.tag("a b?c#d")
    with pytest.raises(client.NotReadyError, match="no champion"):
        zhongcao.conversions(LOVER, ["n1"], {"platform": "red"})
    with pytest.raises(client.NotReadyError, match="no inbox"):
        zhongcao.events([{"event_id": "1"}])
    with pytest.raises(client.ClientError, match="cannot be sent"):
        zhongcao.conversions(LOVER, [{"price": float("nan")}], {"platform": "red"})


def test_keys_are_sent(scorer: Scorer, tmp_path: Path) -> None:
    app = application(scorer, tmp_path, loopback=False)
    secret, _ = KeyRing(tmp_path / "access.json").add("shop", ["ingest"])
    with pytest.raises(client.KeyNeededError):
        Client(URL, transport=InProcess(app)).catalogue()
    with pytest.raises(client.NotAllowedError, match="scope predict"):
        Client(URL, secret, transport=InProcess(app)).catalogue()


def test_the_asynchronous_client_does_the_same(scorer: Scorer, tmp_path: Path) -> None:
    app = application(scorer, tmp_path, openrtb=MAPPED)

    async def run() -> list[Any]:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with app.router.lifespan_context(app), AsyncClient(URL, transport=transport) as one:
            return [
                await one.tags([LOVER], top=1),
                await one.catalogue(),
                await one.tag("bread.will-buy"),
                await one.own_tags(LOVER),
                await one.openrtb_enrich({"id": "1", "tmax": 60_000, "user": {"id": "dairy lover"}}),
                *await asyncio.gather(
                    one.conversions(LOVER, ["n1"], {"platform": "red"}),
                    one.events([{"event_id": "1"}]),
                    return_exceptions=True,
                ),
            ]

    tags, catalogue, tag, own, enriched, *refused = asyncio.run(run())
    assert tags.people[0].tags[0].id == own.tags[0].id == catalogue.tags[0].id == "dairy.will-buy"
    assert (tag.tag.id, enriched.status) == ("bread.will-buy", "enriched")
    assert [type(error) for error in refused] == [client.NotReadyError] * 2


def test_events_and_their_verdicts(tmp_path: Path, scorer: Scorer) -> None:
    settings = Settings(home=tmp_path / "home", mlruns=tmp_path, threads=1, move_seconds=86_400)
    EventLog.open(settings, create=True)
    event = {"kind": "click", "event_time": 1_700_000_000, "platform": "red", "account": "a", "note": "n"}
    sent: list[dict[str, object]] = [{**event, "event_id": str(number % 1001)} for number in range(1002)]
    with ExitStack() as opened:
        ingest = open_ingest(settings, opened)
        assert isinstance(ingest, Ingest)
        with Client(URL, transport=InProcess(application(scorer, tmp_path, ingest=ingest))) as one:
            answer = one.events(iter([*sent, {"event_id": "bad"}]))
            assert one.events([]).verdicts == []
    assert (answer.accepted, answer.duplicate, answer.quarantined) == (1001, 1, 1)
    assert (len(answer.verdicts), answer.verdicts[1001].verdict) == (1003, "duplicate")
    assert {reason.field for reason in answer.verdicts[-1].reasons} >= {"kind", "account"}


def test_conversions(tmp_path: Path, conversion_home: Settings, scorer: Scorer) -> None:
    store = SqliteHistories(conversion_home.histories_file)
    converts = ConversionScorer(FakeConversions(), store, load_key(conversion_home))
    with Client(URL, transport=InProcess(application(scorer, tmp_path, conversions=converts))) as one:
        answer = one.conversions(
            Account("red", "u1"), ["n1", {"note": "n2", "price": 500}], {"platform": "red", "time": AS_OF}
        )
    assert ([candidate.note for candidate in answer.candidates], answer.known) == (["n1", "n2"], True)
    assert answer.candidates[1].value_from == "price"
    store.close()


@pytest.mark.parametrize(
    ("ours", "served"),
    [
        (client.TagsAnswer, schemas.TagsAnswer),
        (client.PersonTags, schemas.PersonAnswer),
        (client.TagScore, schemas.TagAnswer),
        (client.Factor, schemas.FactorAnswer),
        (client.ConversionsAnswer, conversion_schemas.ConversionsAnswer),
        (client.CandidateScore, conversion_schemas.CandidateAnswer),
        (client.EventsAnswer, events.EventsAnswer),
        (client.Verdict, events.VerdictAnswer),
        (client.Reason, events.ReasonAnswer),
        (client.Catalogue, tag_schemas.CatalogueAnswer),
        (client.CatalogueTag, tag_schemas.CatalogueTag),
        (client.TagLabel, tag_schemas.LabelAnswer),
        (client.OwnTags, tag_schemas.OwnTagsAnswer),
        (client.OwnTag, tag_schemas.OwnTag),
        (client.OptOut, people_rights.OptOutAnswer),
        (client.DeletedTag, people_rights.DeletedTagAnswer),
        (client.Receipt, erasures.Receipt),
        (client.ErasedPlace, erasures.ErasedPlace),
    ],
)
def test_no_field_is_forgotten(ours: Any, served: Any) -> None:
    assert {field.name for field in fields(ours)} - {"request_id"} == {field.name for field in fields(served)}


def test_it_needs_httpx_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.split("=")[0].split(">")[0] for requirement in project["dependencies"]}
    blocked = sorted({name.replace("-", "_").replace("scikit_learn", "sklearn") for name in names} - ITS_OWN)
    assert {"lightgbm", "pandas", "pydantic", "numpy", "starlette", "orjson", "sklearn"} <= set(blocked)
    code = f"""
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
import serving.client
print(sorted(name for name in sys.modules if name.split(".")[0] in ("features", "training", "serving")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {name.partition(".client")[0] for name in ast.literal_eval(done.stdout)} == {"serving"}
