"""More than 5,000 requests made up from the OpenAPI document, to a running server, are answered as it says."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import settings

from serving.guard.access import KeyRing
from tests.serving.schema_cases import SCHEMA, Sender, over_http
from tests.serving.servers import free_port, running
from tests.serving.whole_homes import whole_home

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "560"))
LEAST = 5_000
START_SECONDS = 300
RIGHTS = ["opt_out", "opt_in", "delete_tag", "erase", "erase_me"]
"""Each reads the whole log for a person's other accounts, or writes every file anew that could hold somebody."""


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    home = whole_home(tmp_path_factory.mktemp("home"))
    ring = KeyRing(home.access_file)
    key, *poor = [ring.add(scope, [scope])[0] for scope in ("admin", "predict", "ingest")]
    with running(home, free_port(), 3_600, "--require-key", openrtb_ids="user.id=shop") as (_, url):
        await_start(url)
        yield Sender(over_http(url), key, dict(zip(("predict", "ingest"), poor, strict=True)))


def await_start(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            assert httpx.get(f"{url}/readyz", timeout=30).status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.5)


@SCHEMA.exclude(operation_id=RIGHTS).parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_answers_are_as_documented(case: schemathesis.Case, sender: Sender) -> None:
    sender(case)


@SCHEMA.include(operation_id=RIGHTS).parametrize()
@settings(max_examples=max(EXAMPLES // 16, 1), deadline=None, derandomize=True)
def test_answers_about_rights_are_as_documented(case: schemathesis.Case, sender: Sender) -> None:
    sender(case)


def test_they_were_many(sender: Sender) -> None:
    by_status = Counter[int]()
    for (_, status), count in sender.seen.items():
        by_status[status] += count
    said = ", ".join(f"{count:,} × {status}" for status, count in sorted(by_status.items()))
    sys.stdout.write(
        f"{sender.cases:,} requests made up, {sender.seen.total():,} sent, with other keys too: {said}\n"
    )
    assert sender.cases >= LEAST
    assert max(by_status) < 500
