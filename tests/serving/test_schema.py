"""A small part of what `tests/torture/test_schema.py` asks a running server, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import GenerationMode

from features.log.event_log import EventLog
from features.people.identity import load_key
from features.settings import Settings
from serving.api.events import Ingest, open_ingest
from serving.api.route_table import ROUTES, RouteSpec
from serving.guard.access import KeyRing
from serving.histories.sqlite_store import SqliteHistories
from serving.memberships.pages import MembershipPages
from serving.openrtb.people import OpenRtbSettings, read_openrtb_ids
from serving.rights.erasure import Eraser
from serving.rights.people_rights import PeopleRights
from serving.scoring.conversions import ConversionScorer
from tests.serving.calls import application, call
from tests.serving.conversion_homes import FakeConversions
from tests.serving.fakes import fake_scorer
from tests.serving.schema_cases import SCHEMA, Send, Sender

EXAMPLES = 2
_SENT = ("method", "url", "headers", "params", "data", "json", "files", "cookies")


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory, conversion_home: Settings) -> Iterator[Sender]:
    folder = tmp_path_factory.mktemp("home")
    home = Settings(home=folder / "home", mlruns=folder, threads=1, move_seconds=86_400)
    EventLog.open(home, create=True)
    ring = KeyRing(folder / "access.json")
    key, *poor = [ring.add(scope, [scope])[0] for scope in ("admin", "predict", "ingest")]
    with ExitStack() as opened:
        ingest = open_ingest(home, opened)
        assert isinstance(ingest, Ingest)
        scorer = fake_scorer(folder)
        opened.callback(scorer.store.close)
        histories = SqliteHistories(conversion_home.histories_file)
        opened.callback(histories.close)
        rights = PeopleRights(home, opened.enter_context(Eraser(home)))
        app = application(
            scorer,
            folder,
            loopback=False,
            ingest=ingest,
            conversions=ConversionScorer(FakeConversions(), histories, load_key(conversion_home)),
            openrtb=OpenRtbSettings(read_openrtb_ids("user.id=shop")),
            rights=rights,
            memberships=MembershipPages(home),
        )

        yield Sender(in_process(app), key, dict(zip(("predict", "ingest"), poor, strict=True)))


def in_process(app: Any) -> Send:
    def send(case: schemathesis.Case, headers: Mapping[str, str]) -> httpx.Response:
        given = case.as_transport_kwargs(base_url="http://127.0.0.1:3000", headers=dict(headers))
        asked = requests.Request(**{name: given[name] for name in _SENT if name in given}).prepare()
        said = {"content": asked.body, "headers": dict(asked.headers)}
        return call(app, lambda http: http.request(asked.method, asked.url, **said))

    return send


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_answers_are_as_documented(route: RouteSpec, mode: GenerationMode, sender: Sender) -> None:
    operation = SCHEMA[route.path][route.method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or route.path_values or route.scope):
        return

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, phases=[Phase.generate])
    @given(operation.as_strategy(mode))
    def answered(case: schemathesis.Case) -> None:
        sender(case)

    answered()
