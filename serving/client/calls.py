"""What is sent and how its answer is read, the same for both clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from serving.client.answers import (
    Catalogue,
    ConversionsAnswer,
    DeletedTag,
    Enriched,
    EventsAnswer,
    OptOut,
    OwnTags,
    Receipt,
    TagLabel,
    TagsAnswer,
    read,
)
from serving.client.errors import ClientError, NoAnswerError, StrangeAnswerError, problem_of

Answer = TypeVar("Answer")
Candidate = str | Mapping[str, object]
MOST_EVENTS: Final = 1000
_MOST_BYTES: Final = 1_900_000
_JSON: Final = {"Content-Type": "application/json"}
_LINES: Final = {"Content-Type": "application/x-ndjson"}
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Account:
    """A person named by an account on a platform."""

    platform: str
    account: str


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person named by the pseudonymous key that zhongcao made."""

    person: str


Person = Account | PersonKey


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request.

    Parameters
    ----------
    method, path, content, headers
        What is sent.
    read
        Makes the answer of a response with status 200.
    again
        Whether it may be repeated though a try may have succeeded unseen.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Answer]
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    again: bool = True

    def finish(self, outcome: httpx.Response | httpx.RequestError) -> Answer:
        """Return the answer, or raise the error that the last try's outcome means."""
        if isinstance(outcome, httpx.RequestError):
            raise NoAnswerError(f"{self.method} {self.path}: {type(outcome).__name__}") from outcome
        if outcome.status_code != _OK:
            raise problem_of(outcome)
        try:
            return self.read(outcome)
        except (ValueError, TypeError, KeyError) as error:
            raise StrangeAnswerError(f"{self.method} {self.path}: not an answer of zhongcao") from error


def tags(
    people: Sequence[Person], top: int | None, min_probability: float | None, explain: bool
) -> Call[TagsAnswer]:
    """Return the call of `Client.tags`."""
    asked = {"people": [asdict(person) for person in people], "top": top, "min_probability": min_probability}
    return _post("/v1/tags", {**asked, "explain": explain or None}, TagsAnswer)


def conversions(
    person: Person,
    candidates: Sequence[Candidate],
    context: Mapping[str, object],
    window_days: float | None,
    *,
    explain: str | bool,
    explain_top: int,
    explain_factors: int,
) -> Call[ConversionsAnswer]:
    """Return the call of `Client.conversions`."""
    asked: dict[str, object] = {"person": asdict(person), "candidates": list(candidates), "context": dict(context)}
    asked["window_days"] = window_days
    if explain:
        target = explain if isinstance(explain, str) else None
        asked |= {"explain": True, "explain_target": target}
        asked |= {"explain_top": explain_top, "explain_factors": explain_factors}
    return _post("/v1/conversions", asked, ConversionsAnswer)


def events(some: Iterable[Mapping[str, object]]) -> Iterator[Call[EventsAnswer]]:
    """Return the calls of `Client.events`, each of up to 1,000 events and within the server's limit of bytes."""
    batch: list[bytes] = []
    size = 0
    for event in some:
        line = _encoded(event)
        if batch and (len(batch) == MOST_EVENTS or size + len(line) + 1 > _MOST_BYTES):
            yield _lines(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield _lines(batch)


def openrtb_enrich(bid_request: Mapping[str, object] | bytes | str) -> Call[Enriched]:
    """Return the call of `Client.openrtb_enrich`, which is never repeated: by then the auction is over."""
    if isinstance(bid_request, str):
        bid_request = bid_request.encode()
    body = bid_request if isinstance(bid_request, bytes) else _encoded(bid_request)
    return Call("POST", "/v1/openrtb/enrich", _enriched, body, _JSON, again=False)


def catalogue(after: str | None = None) -> Call[Catalogue]:
    """Return the call of one page of `Client.catalogue`."""
    more = "" if after is None else f"&after={quote(after, safe='')}"
    return Call("GET", f"/v1/tags?limit=1000{more}", _reader(Catalogue))


def joined(first: Catalogue, then: Catalogue) -> Catalogue:
    """Return two pages as one.

    Raises
    ------
    ClientError
        Another taxonomy began to serve between them.
    """
    if first.taxonomy_hash != then.taxonomy_hash:
        raise ClientError("another taxonomy began to serve between two pages; ask again")
    return replace(then, tags=[*first.tags, *then.tags])


def tag(tag_id: str) -> Call[TagLabel]:
    """Return the call of `Client.tag`."""
    return Call("GET", f"/v1/tags/{quote(tag_id, safe='')}", _reader(TagLabel))


def own_tags(account: Account) -> Call[OwnTags]:
    """Return the call of `Client.own_tags`; who asks stands in headers, never in the address."""
    return Call("GET", "/v1/people/me/tags", _reader(OwnTags), headers=_about(account))


def opt_out(account: Account) -> Call[OptOut]:
    """Return the call of `Client.opt_out`."""
    return Call("PUT", "/v1/people/me/opt-out", _reader(OptOut), headers=_about(account))


def opt_in(account: Account) -> Call[OptOut]:
    """Return the call of `Client.opt_in`."""
    return Call("DELETE", "/v1/people/me/opt-out", _reader(OptOut), headers=_about(account))


def delete_tag(account: Account, tag_id: str) -> Call[DeletedTag]:
    """Return the call of `Client.delete_tag`."""
    path = f"/v1/people/me/tags/{quote(tag_id, safe='')}"
    return Call("DELETE", path, _reader(DeletedTag), headers=_about(account))


def erase(person: Person) -> Call[Receipt]:
    """Return the call of `Client.erase`; asked twice, it is the same erasure as long as it is under way."""
    if isinstance(person, PersonKey):
        return Call("DELETE", f"/v1/people/{quote(person.person, safe='')}", _reader(Receipt))
    return Call("DELETE", "/v1/people/me", _reader(Receipt), headers=_about(person))


def receipt(erasure: str) -> Call[Receipt]:
    """Return the call of `Client.receipt`."""
    return Call("GET", f"/v1/erasures/{quote(erasure, safe='')}", _reader(Receipt))


def document(path: str) -> Call[dict[str, Any]]:
    """Return the call of a route whose answer is taken as it is."""
    return Call("GET", path, _as_it_is)


def _about(account: Account) -> dict[str, str]:
    said = {"Zhongcao-Platform": account.platform, "Zhongcao-Account": account.account}
    return {name: quote(value, safe="") for name, value in said.items()}


def _post(path: str, body: Mapping[str, object], answer: type[Answer]) -> Call[Answer]:
    given = {name: value for name, value in body.items() if value is not None}
    return Call("POST", path, _reader(answer), _encoded(given), _JSON)


def _lines(batch: list[bytes]) -> Call[EventsAnswer]:
    return Call("POST", "/v1/events", _reader(EventsAnswer), b"\n".join(batch), _LINES)


def _encoded(value: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError) as error:
        raise ClientError(f"this cannot be sent as JSON: {error}") from error


def _reader(kind: type[Answer]) -> Callable[[httpx.Response], Answer]:
    def answer(response: httpx.Response) -> Answer:
        document: Any = response.json()
        return read(kind, {**document, "request_id": response.headers.get("X-Request-Id", "")})

    return answer


def _as_it_is(response: httpx.Response) -> dict[str, Any]:
    return dict(response.json())


def _enriched(response: httpx.Response) -> Enriched:
    headers = response.headers
    prediction = headers.get("X-Zhongcao-Prediction")
    return Enriched(response.content, headers["X-Zhongcao-Enrich"], prediction, headers.get("X-Request-Id", ""))
