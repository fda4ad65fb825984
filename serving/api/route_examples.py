"""An example of each body and each answer, as the document shows them."""

from __future__ import annotations

from typing import Any, Final

_PERSON: Final = {"platform": "shop", "account": "household-1"}
_FACTOR: Final = {
    "words": "bought dairy 3 times in the last 30 days",
    "words_zh": "近30天购买乳品3次",
    "feature": "purchase_count_30d@dairy",
    "value": 3.0,
    "effect": 1.164981,
}
_NAMES: Final = {"id": "dairy.will-buy", "name": "Dairy: will buy", "name_zh": "乳品:将购买"}
_SCORED: Final = {**_NAMES, "probability": 0.912015, "assigned": True}
_MEANING: Final = "Buys Dairy within 30 days."
_LISTED: Final = {
    **_NAMES,
    "meaning": _MEANING,
    "scope": "dairy",
    "kind": "rule",
    "horizon_days": 30,
    "version": 1,
    "iab": "1133",
    "learned": True,
    "base_rate": 0.413,
}
_IAB: Final = "Purchase Intent | Consumer Packaged Goods | Edible | Refrigerated | Dairy"
_MODEL: Final = "tags-8ec1f69ce9df"
_AS_OF: Final = 1512086400
_RECEIPT: Final = {
    "id": "1c0a52ffb6e07d93",
    "person": "9d1f0c5b7ae24f6688c3b0a4d2e19f75",
    "accounts": 2,
    "asked_at": 1748736000,
    "finished_at": 1748736002,
    "places": [
        {"place": "inbox", "removed": 1, "cut_off": False},
        {"place": "log", "removed": 48, "cut_off": False},
    ],
}
_WINDOWS: Final = {"click": 1.0, "ctcvr": 15.0}

EXAMPLES: Final[dict[str, tuple[Any, Any]]] = {
    "tags": (
        {"people": [_PERSON, {"platform": "shop", "account": "never seen"}], "top": 1, "explain": True},
        {
            "model": _MODEL,
            "people": [
                {
                    "person": _PERSON,
                    "status": "known",
                    "as_of": _AS_OF,
                    "tags": [{**_SCORED, "factors": [_FACTOR]}],
                    "prediction_id": "019a9d2e-7c41-7e30-9b1f-3c5a7e9d1b24",
                },
                {
                    "person": {"platform": "shop", "account": "never seen"},
                    "status": "unknown",
                    "as_of": None,
                    "tags": [],
                    "prediction_id": None,
                },
            ],
        },
    ),
    "catalogue": (
        None,
        {
            "model": _MODEL,
            "taxonomy": "shop",
            "taxonomy_version": 1,
            "taxonomy_hash": "9b1c0f7f0f4b0b1d5e0f9a51d6d3f8a1c9e2b7a4d8c6f5e3a2b1c0d9e8f7a6b5",
            "total": 200,
            "tags": [_LISTED],
            "next": "dairy.will-buy",
        },
    ),
    "tag": (
        None,
        {
            "model": _MODEL,
            "tag": _LISTED,
            "label": {"id": "dairy.will-buy", "meaning": _MEANING, "segmentation criteria": "count(purchase) >= 1"},
            "erased_since": 2,
        },
    ),
    "own_tags": (
        None,
        {
            "model": _MODEL,
            "status": "known",
            "as_of": _AS_OF,
            "tags": [{**_SCORED, "meaning": _MEANING, "factors": [_FACTOR]}],
        },
    ),
    "conversions": (
        {
            "person": _PERSON,
            "candidates": ["note-31", {"note": "note-77", "price": 19900}],
            "context": {"platform": "red"},
            "explain": True,
            "explain_target": "click",
            "explain_top": 1,
            "explain_factors": 1,
        },
        {
            "model": "conversion-64542ba18096",
            "person": _PERSON,
            "known": True,
            "as_of": _AS_OF,
            "person_as_of": 1512089997,
            "time": 1512090000,
            "window_days": _WINDOWS,
            "currency": "CNY",
            "candidates": [
                {
                    "note": "note-31",
                    "known": True,
                    "probabilities": {"click": 0.088493646, "ctcvr": 0.001434835},
                    "expected_value": 21.364694385,
                    "no_expected_value": None,
                    "value": 14890,
                    "value_from": "price",
                    "factors": [
                        {
                            "words": "opened notes about tea 3 times in the last 7 days",
                            "words_zh": "近7天点开tea的笔记3次",
                            "feature": "person_category_click_count_7d",
                            "value": 3.0,
                            "effect": 0.418224,
                        }
                    ],
                }
            ],
            "explained": "click",
            "prediction_id": "019a9d2e-8f02-7b6a-a4d7-60c2f18e935b",
        },
    ),
    "events": (
        {
            "events": [
                {
                    "event_id": "o-1001",
                    "kind": "purchase",
                    "event_time": "2026-05-01T08:30:00+08:00",
                    "platform": "taobao",
                    "account": "buyer 7",
                    "item": "tea-12",
                    "amount": "129.00",
                }
            ]
        },
        {
            "accepted": 1,
            "duplicate": 0,
            "quarantined": 0,
            "refused": 0,
            "verdicts": [{"verdict": "accepted", "reasons": []}],
        },
    ),
    "openrtb_enrich": (
        {"id": "r1", "imp": [{"id": "1"}], "tmax": 120, "user": {"buyeruid": "household-1"}},
        {
            "id": "r1",
            "imp": [{"id": "1"}],
            "tmax": 120,
            "user": {
                "buyeruid": "household-1",
                "data": [
                    {
                        "id": "zhongcao",
                        "name": "shop",
                        "segment": [{"id": "dairy.will-buy", "name": "Dairy: will buy", "value": "0.912015"}],
                    },
                    {
                        "id": "zhongcao",
                        "name": "zhongcao",
                        "ext": {"segtax": 4},
                        "segment": [{"id": "1133", "name": _IAB}],
                    },
                ],
            },
        },
    ),
    "opt_out": (None, {"opted_out": True}),
    "opt_in": (None, {"opted_out": False}),
    "delete_tag": (None, {"tag": "dairy.will-buy", "removed": 1}),
    "erase_me": (None, _RECEIPT),
    "erase": (None, _RECEIPT),
    "receipt": (None, _RECEIPT),
    "livez": (None, {"status": "live"}),
    "readyz": (None, {"status": "ready"}),
}  # fmt: skip
"""Name of a route → a body and an answer; None where it has none."""
