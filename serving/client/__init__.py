"""A typed client of the prediction API, synchronous and asynchronous; needs httpx and nothing else of zhongcao.

Examples
--------
>>> import httpx
>>> def server(request):
...     return httpx.Response(200, json={"model": "tags-1", "people": [
...         {"person": {"platform": "shop", "account": "7"}, "status": "unknown", "as_of": None, "tags": []}]})
>>> with Client("http://127.0.0.1:3000", transport=httpx.MockTransport(server)) as zhongcao:
...     answer = zhongcao.tags([Account("shop", "7")], top=3)
>>> answer.model, answer.people[0].status
('tags-1', 'unknown')
"""

from __future__ import annotations

from serving.client.answers import (
    CandidateScore,
    Catalogue,
    CatalogueTag,
    ConversionsAnswer,
    DeletedTag,
    Enriched,
    ErasedPlace,
    EventsAnswer,
    Factor,
    OptOut,
    OwnTag,
    OwnTags,
    PersonTags,
    Reason,
    Receipt,
    TagLabel,
    TagsAnswer,
    TagScore,
    Verdict,
)
from serving.client.asynchronous import AsyncClient
from serving.client.calls import Account, PersonKey
from serving.client.errors import (
    ClientError,
    GoneError,
    KeyNeededError,
    NoAnswerError,
    NotAllowedError,
    NotFoundError,
    NotReadyError,
    NotValidError,
    OverloadedError,
    ProblemError,
    ServerFailedError,
    StrangeAnswerError,
    TooLateError,
    TooManyError,
)
from serving.client.memberships import MembershipChange, MembershipsPage
from serving.client.retries import Retries
from serving.client.synchronous import Client

__all__ = [
    "Account",
    "AsyncClient",
    "CandidateScore",
    "Catalogue",
    "CatalogueTag",
    "Client",
    "ClientError",
    "ConversionsAnswer",
    "DeletedTag",
    "Enriched",
    "ErasedPlace",
    "EventsAnswer",
    "Factor",
    "GoneError",
    "KeyNeededError",
    "MembershipChange",
    "MembershipsPage",
    "NoAnswerError",
    "NotAllowedError",
    "NotFoundError",
    "NotReadyError",
    "NotValidError",
    "OptOut",
    "OverloadedError",
    "OwnTag",
    "OwnTags",
    "PersonKey",
    "PersonTags",
    "ProblemError",
    "Reason",
    "Receipt",
    "Retries",
    "ServerFailedError",
    "StrangeAnswerError",
    "TagLabel",
    "TagScore",
    "TagsAnswer",
    "TooLateError",
    "TooManyError",
    "Verdict",
]
