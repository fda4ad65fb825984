from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.openrtb.consent import why_not_personal
from serving.openrtb.schemas import BidRequest
from serving.openrtb.tc_string import read_tc_string

PUBLISHED = (
    "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAg"
    """Of the framework's own documents: purposes 1, 2, 3; vendors 2, 6, 8."""
)


def field(value: int, bits: int) -> str:
    return f"{value:0{bits}b}"


def flags(numbers: set[int], count: int) -> str:
    return "".join("1" if number in numbers else "0" for number in range(1, count + 1))


def ranges(pairs: list[tuple[int, int]]) -> str:
    parts = [("0" + field(a, 16)) if a == b else ("1" + field(a, 16) + field(b, 16)) for a, b in pairs]
    return field(len(pairs), 12) + "".join(parts)


def tc_string(
    purposes: set[int],
    vendors: list[tuple[int, int]] | set[int] = frozenset(),  # type: ignore[assignment]
    restricted: list[tuple[int, int, list[tuple[int, int]]]] | None = None,
) -> str:
    """Write a string field by field, as the framework's table lists them."""
    bits = field(2, 6) + field(0, 36 + 36 + 12 + 12 + 6 + 12 + 12 + 6 + 1 + 1 + 12)
    bits += flags(purposes, 24) + flags(set(), 24) + "0" + field(0, 12)
    if isinstance(vendors, list):
        bits += field(max((b for _, b in vendors), default=0), 16) + "1" + ranges(vendors)
    else:
        bits += field(max(vendors, default=0), 16) + "0" + flags(set(vendors), max(vendors, default=0))
    bits += field(0, 16) + "0"
    bits += field(len(restricted or []), 12)
    bits += "".join(field(purpose, 6) + field(kind, 2) + ranges(pairs) for purpose, kind, pairs in restricted or [])
    bits += "0" * (-len(bits) % 8)
    return base64.urlsafe_b64encode(int(bits, 2).to_bytes(len(bits) // 8)).decode().rstrip("=")


ALL = tc_string({1, 3, 4}, {7, 9})


def test_the_published_string_is_read() -> None:
    consent = read_tc_string(PUBLISHED)
    assert consent
    assert consent.purposes == {1, 2, 3}
    assert [consent.allows(frozenset({3}), vendor) for vendor in range(1, 10)] == [
        vendor in {2, 6, 8} for vendor in range(1, 10)
    ]


@given(st.sets(st.integers(1, 24)), st.sets(st.integers(1, 60)), st.booleans())
def test_what_is_written_is_read(purposes: set[int], vendors: set[int], as_ranges: bool) -> None:
    written = [(vendor, vendor) for vendor in sorted(vendors)] if as_ranges else vendors
    consent = read_tc_string(tc_string(purposes, written))
    assert consent
    assert consent.purposes == purposes
    assert {vendor for several in consent.vendors for vendor in several} == vendors


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_makes_it_fail(text: str) -> None:
    consent = read_tc_string(text)
    assert consent is None or consent.purposes <= set(range(1, 25))


def test_a_string_that_is_cut_off_or_endless_is_none() -> None:
    assert read_tc_string(ALL[:40]) is None
    assert read_tc_string(ALL + "A" * 9000) is None
    assert read_tc_string("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA") is None  # version 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, None),
        ({"regs": {"coppa": 0, "gdpr": 0}, "device": {"dnt": 0, "lmt": 0}}, None),
        ({"regs": {"coppa": 1}}, "child"),
        ({"user": {"yob": 2012}}, "child"),
        ({"user": {"yob": 2011}}, None),
        ({"device": {"lmt": 1}}, "device"),
        ({"device": {"dnt": 1}}, "device"),
        ({"regs": {"us_privacy": "1YYN"}}, "opt-out"),
        ({"regs": {"ext": {"us_privacy": "1NYN"}}}, "opt-out"),
        ({"regs": {"us_privacy": "1YNN"}}, None),
        ({"regs": {"ext": {"gpc": "1"}}}, "opt-out"),
        ({"regs": {"gpp_sid": [7]}}, "unread"),
        ({"regs": {"gpp_sid": [-1]}}, None),
        ({"regs": {"gpp": "DBAA"}}, "unread"),
        ({"regs": {"ext": {"gpp": "DBAA"}}}, "unread"),
        ({"regs": {"gpp": "DBAA", "gpp_sid": []}}, "unread"),
        ({"regs": {"gpp": "DBAA", "gpp_sid": [-1]}}, None),
        ({"regs": {"gdpr": 1}}, "consent"),
        ({"regs": {"ext": {"gdpr": 1}}}, "consent"),
        ({"regs": {"gdpr": 1}, "user": {"consent": ""}}, "consent"),
        ({"regs": {"gdpr": 1}, "user": {"consent": "yes"}}, "consent"),
        ({"regs": {"gdpr": 1}, "user": {"consent": ALL}}, None),
        ({"regs": {"gdpr": 1}, "user": {"ext": {"consent": ALL}}}, None),
        ({"regs": {"gdpr": 1}, "user": {"consent": PUBLISHED}}, "consent"),
        ({"user": {"ext": {"consent": PUBLISHED}}}, "consent"),
        ({"user": {"consent": ALL, "ext": {"consent": PUBLISHED}}}, "consent"),
    ],
)
def test_in_doubt_nothing_is_added(request_: dict[str, Any], reason: str | None) -> None:
    assert why_not_personal(BidRequest.model_validate({"id": "1", **request_}), 2026) == reason


@pytest.mark.parametrize(
    ("string", "vendor", "reason"),
    [
        (ALL, 7, None),
        (ALL, 8, "consent"),
        (tc_string({3, 4}, [(5, 60_000)]), 59_999, None),
        (tc_string({3, 4}, [(5, 60_000)], [(3, 0, [(7, 7)])]), 7, "consent"),
        (tc_string({3, 4}, [(5, 60_000)], [(3, 1, [(7, 7)]), (2, 0, [(7, 7)])]), 7, None),
        (tc_string({3, 4}, [(5, 60_000)], [(4, 2, [(6, 8)])]), 7, "consent"),
    ],
)
def test_a_vendor_needs_consent_of_its_own(string: str, vendor: int, reason: str | None) -> None:
    bid = BidRequest.model_validate({"id": "1", "regs": {"gdpr": 1}, "user": {"consent": string}})
    assert why_not_personal(bid, 2026, vendor) == reason
