"""English phrases for factors."""

from __future__ import annotations

import math
from typing import Final

from features.events import COMMERCE_KINDS
from serving.words.measured import Measured

_ACTS: Final = {
    "impression": ("saw notes about {}", "see notes about {}"),
    "click": ("opened notes about {}", "open notes about {}"),
    "read": ("read notes about {}", "read notes about {}"),
    "like": ("liked notes about {}", "like notes about {}"),
    "save": ("saved notes about {}", "save notes about {}"),
    "comment": ("commented on notes about {}", "comment on notes about {}"),
    "share": ("shared notes about {}", "share notes about {}"),
    "follow": ("followed creators of {}", "follow creators of {}"),
    "search": ("searched for {}", "search for {}"),
    "hide": ("hid notes about {}", "hide notes about {}"),
    "link_click": ("went to the shop from notes about {}", "go to the shop from notes about {}"),
    "store_visit": ("visited shops for {}", "visit shops for {}"),
    "item_view": ("looked at {}", "look at {}"),
    "favourite": ("favourited {}", "favourite {}"),
    "cart": ("put {} in the cart", "put {} in the cart"),
    "purchase": ("bought {}", "buy {}"),
    "refund": ("returned {}", "return {}"),
    "interest": ("showed interest in {}", "show interest in {}"),
    "commerce": ("shopped for {}", "shop for {}"),
    "event": ("dealt with {}", "deal with {}"),
}
_CONDITIONS: Final = {
    "discounted": "at a discount",
    "coupon": "with a coupon",
    "own_label": "of the shop's own label",
    "paid": "through a campaign",
    "deep_read": "with a deep read",
}
_MONEY: Final = {
    "amount": "spent {} on {}",
    "discount": "was given {} off on {}",
    "coupon": "was given {} off by coupons on {}",
}
_MANY_ACTS: Final = ("engaged with notes about {}", "engage with notes about {}")
_SHARES: Final = {
    "click": "opened {} of the notes shown about {}",
    "refund": "returned {} of the purchases of {}",
}
_AFFINITIES: Final = {
    "svd_affinity": "people who shop alike buy {} (strength {})",
    "svd_affinity_broad": "people of broadly the same habits buy {} (strength {})",
    "item_affinity": "buys what often goes with {} (strength {})",
    "scope_price_level": "pays {1} times the usual price for {0}",
}
_BESIDE_OTHERS: Final = {
    "recency_over_median_gap": "last bought {} {} times as long ago as its buyers usually wait",
    "gap_over_median_gap": "between two purchases of {} waits {} times as long as its buyers usually do",
    "days_share": "bought {} on {} of all shopping days",
}
_RATES: Final = {
    "base_rate_1": "true for {} of people in the latest window",
    "base_rate_2": "true for {} of people in the window before the latest",
    "base_rate_mean": "true for {} of people on average",
    "repeat_rate": "true again for {} of those for whom it was true before",
    "new_rate": "true for {} of those for whom it was not true before",
    "buyer_share": "{} of people ever bought here",
}
_LEVELS: Final = {
    "buyer_trend": "buyers of the last 7 days are {} times those of the last 30",
    "buyer_days": "buyers here buy on {} days on average",
    "median_gap": "buyers here come back after {} days as a rule",
}
_ZERO_SAYS_LITTLE: Final = {("sum", of) for of in ("amount", "discount", "coupon", "dwell_ms")}
_UNKNOWN: Final = {
    "gap": "usual gap", "overdue": "usual gap", "unmet": "interest", "renewed": "order", "wait": "order",
    "newness": "first time",
}  # fmt: skip
_PLURALS: Final = {"category": "categories"}


def measured(aggregate: Measured, value: float, thing: str | None) -> str:
    """Say an aggregate; recency and tenure in days, money in minor units."""
    if aggregate.measure in {"recency", "tenure"}:
        return _since(aggregate, value, thing)
    if math.isnan(value):
        return f"how often {_act(aggregate, thing, past=True)}{_window(aggregate)} is not known"
    if value == 0 and (aggregate.measure, aggregate.of) not in _ZERO_SAYS_LITTLE:
        return _not(aggregate, thing)
    if aggregate.measure == "days" and aggregate.days:
        return f"{_act(aggregate, thing, past=True)} on {_number(value)} of the last {_days(aggregate.days)}"
    return f"{_extent(aggregate, value, thing)}{_window(aggregate)}"


def outcome(name: str, lag: int, horizon: int, value: float) -> str:
    """Say a tag's past outcome; lag 0 is the mean over all past windows."""
    if lag == 0:
        return f"“{name}” was true {_share(value)} of the time"
    if lag == 1:
        when = f"in the previous {_days(horizon)}"
    else:
        when = f"{(lag - 1) * horizon} to {_days(lag * horizon)} ago"
    if math.isnan(value):
        return f"whether “{name}” was true {when} is not known"
    return f"“{name}” was {'true' if value > 0.5 else 'not true'} {when}"


def outlook(name: str, value: float) -> str:
    """Say what a tag's linear model expects."""
    if math.isnan(value):
        return f"what a history like this led to is not known yet for “{name}”"
    return (
        f"of people with a history like this, “{name}” came true for about {100 * min(max(value, 0.0), 1.0):.0f} %"
    )


def derived(function: str, first: Measured, value: float, thing: str | None) -> str:
    """Say a function of aggregates, of which `first` is the first."""
    did, what = _act(first, thing, past=True), _lower(thing) if thing else "something"
    if not math.isfinite(value):
        return f"too little is known of {what} to tell the {_UNKNOWN.get(function, function)}"
    size = _number(abs(value))
    phrases = {
        "share": f"{did} in {_share(value)} of cases{_window(first)}",
        "rate": _SHARES.get(first.kinds[0], f"{did} at a rate of {{}}: {{}}").format(_share(value), what)
        + _window(first),
        "price": f"paid {value / 100:.2f} a piece for {what}{_window(first)}",
        "gap": f"{did} every {_days(value)} on average",
        "overdue": f"last {did} {size} times the usual gap ago",
        "unmet": f"{did} {_times(value)} without buying{_window(first)}"
        if value
        else f"bought {what}, or showed no interest in it,{_window(first)}",
        "renewed": f"the last interest in {what} came {size} days {_side(value)} the last purchase",
        "wait": f"first bought {what} {size} days {_side(value)} the first interest",
        "newness": f"bought {what} for the first time{_window(first)}"
        if value
        else f"bought {what} before the last {_days(first.days or 0)} too",
    }
    return phrases[function] if function in phrases else other(f"{did}, {function}", value, None)


def other(name: str, value: float, thing: str | None) -> str:
    """Say any other feature; one that has no phrase by its readable name and its value."""
    if (said := _RATES.get(name) or _LEVELS.get(name)) and math.isfinite(value):
        return said.format(_share(value) if name in _RATES else _number(value))
    if name == "base_rate_trend" and math.isfinite(value):
        return f"true for {'more' if value > 0 else 'fewer'} people than in the window before"
    if name in _AFFINITIES and math.isfinite(value) and thing:
        return _AFFINITIES[name].format(_lower(thing), _number(value))
    if name in _BESIDE_OTHERS:
        return _beside_others(name, value, thing)
    of = f" of {_lower(thing)}" if thing else ""
    return f"{name.replace('_', ' ')}{of}: {'not known' if math.isnan(value) else _number(value)}"


def _beside_others(name: str, value: float, thing: str | None) -> str:
    what = _lower(thing) if thing else "this"
    if not math.isfinite(value):
        return f"too little is known of {what} to compare with its buyers"
    return _BESIDE_OTHERS[name].format(what, _share(value) if name == "days_share" else _number(value))


def _act(aggregate: Measured, thing: str | None, *, past: bool) -> str:
    what = _lower(thing) if thing else ("something" if past else "anything")
    if aggregate.condition:
        what += f" {_CONDITIONS[aggregate.condition]}"
    form = 0 if past else 1
    if len(aggregate.kinds) > 2:
        acts = _ACTS["commerce"] if set(aggregate.kinds) <= set(COMMERCE_KINDS) else _MANY_ACTS
        return acts[form].format(what)
    single = [_ACTS.get(kind, (f"{kind} {{}}", f"{kind} {{}}"))[form] for kind in aggregate.kinds]
    return " or ".join(act.format(what) for act in single)


def _not(aggregate: Measured, thing: str | None) -> str:
    return f"did not {_act(aggregate, thing, past=False)}{_window(aggregate)}"


def _window(aggregate: Measured) -> str:
    return f" in the last {_days(aggregate.days)}" if aggregate.days else " so far"


def _since(aggregate: Measured, days: float, thing: str | None) -> str:
    if math.isnan(days):
        return _not(aggregate, thing)
    order = "last" if aggregate.measure == "recency" else "first"
    ago = "less than a day ago" if days < 1 else f"{_days(int(days))} ago"
    return f"{order} {_act(aggregate, thing, past=True)} {ago}"


def _extent(aggregate: Measured, value: float, thing: str | None) -> str:
    did = _act(aggregate, thing, past=True)
    match aggregate.measure:
        case "count":
            how_much = f"{did} {_times(value)}"
        case "days":
            how_much = f"{did} on {_days(value)}"
        case "decayed":
            how_much = f"{did} {_number(value)} times, older ones counted less,"
        case "distinct":
            what = _PLURALS.get(str(aggregate.of), f"{aggregate.of}s")
            how_much = f"{did}, {_number(value)} different {what},"
        case _:
            how_much = _sum(aggregate, value, thing, did)
    return how_much


def _sum(aggregate: Measured, value: float, thing: str | None, did: str) -> str:
    if aggregate.of in _MONEY and aggregate.kinds == ("purchase",):
        what = _lower(thing) if thing else "everything"
        if aggregate.condition:
            what += f" {_CONDITIONS[aggregate.condition]}"
        return _MONEY[aggregate.of].format(f"{value / 100:.2f}", what)
    extent = {
        "quantity": f"{_number(value)} pieces",
        "dwell_ms": f"{_number(value / 1000)} seconds",
        **dict.fromkeys(_MONEY, f"{value / 100:.2f} in all"),
    }
    named = f"{str(aggregate.of).replace('_', ' ')} {_number(value)}"
    return f"{did}, {extent.get(str(aggregate.of), named)},"


def _lower(thing: str) -> str:
    """Names of verticals stand inside a sentence here; abbreviations stay as they are."""
    return thing if thing[1:2].isupper() else thing[:1].lower() + thing[1:]


def _times(value: float) -> str:
    return {1: "once", 2: "twice"}.get(int(value), f"{_number(value)} times")


def _days(value: float) -> str:
    return "1 day" if value == 1 else f"{_number(value)} days"


def _side(value: float) -> str:
    return "before" if value < 0 else "after"


def _share(value: float) -> str:
    return "an unknown part" if math.isnan(value) else f"{100 * value:.3g} %"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
