"""Twenty defects of data, each a change of the last days of a log, and changes that are none.

``{last}`` is the last day. A defect names the check that should stop it; others may, too.
"""

from __future__ import annotations

from typing import Final

_AGAIN: Final = "INSERT INTO events SELECT * REPLACE ({}) FROM events WHERE {}"
_RECENT: Final = "day > {last} - 7"
_MOST_BOUGHT: Final = "(SELECT mode(category) FROM events WHERE kind = 'purchase')"


def _set(column: str, value: str, where: str) -> str:
    return f'UPDATE events SET "{column}" = {value} WHERE {where}'


DEFECTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "taobao's prices x 100 for three days": (
        "units",
        (_set("amount", "amount * 100", "platform = 'taobao' AND day > {last} - 3"),),
    ),
    "a fifth of all items in yuan, not fen, for a week": (
        "units",
        (_set("amount", "amount // 100", f"hash(item) % 5 = 0 AND {_RECENT}"),),
    ),
    "reading time in seconds for two days": ("units", (_set("dwell_ms", "dwell_ms // 1000", "day > {last} - 2"),)),
    "no event of jd on the last day": (
        "missing-platform",
        ("DELETE FROM events WHERE platform = 'jd' AND day = {last}",),
    ),
    "no save on xiaohongshu for three days": (
        "missing-kind",
        ("DELETE FROM events WHERE platform = 'xiaohongshu' AND kind = 'save' AND day > {last} - 3",),
    ),
    "three fifths of a day of douyin lost": (
        "volume",
        ("DELETE FROM events WHERE platform = 'douyin' AND day = {last} - 2 AND hash(event_id) % 5 < 3",),
    ),
    "seven tenths of a week's purchases lost": (
        "volume-by-kind",
        (f"DELETE FROM events WHERE kind = 'purchase' AND {_RECENT} AND hash(event_id) % 10 < 7",),
    ),
    "a tenth of a day imported twice under other ids": (
        "duplicates",
        (_AGAIN.format("event_id || '-2' AS event_id", "day = {last} - 1 AND hash(event_id) % 10 = 0"),),
    ),
    "the last day is a copy of the day before": (
        "repeated-days",
        (
            "DELETE FROM events WHERE day = {last}",
            _AGAIN.format(
                "event_id || '-2' AS event_id, event_time + 86400 AS event_time, arrived_at + 86400 AS arrived_at, "
                "day + 1 AS day",
                "day = {last} - 1",
            ),
        ),
    ),
    "taobao's categories empty for two days": (
        "fill",
        (_set("category", "NULL", "platform = 'taobao' AND day > {last} - 2"),),
    ),
    "purchases of pdd without amounts for a week": (
        "fill",
        (_set("amount", "0", f"platform = 'pdd' AND kind = 'purchase' AND {_RECENT}"),),
    ),
    "impressions without propensity for a week": ("fill", (_set("propensity", "NULL", _RECENT),)),
    "visits to shops lose the note they came from": (
        "fill",
        (_set("note", "NULL", f"kind = 'store_visit' AND {_RECENT}"),),
    ),
    "account ids of tmall in another form for two days": (
        "accounts",
        (_set("account", "md5(account)", "platform = 'tmall' AND day > {last} - 2"),),
    ),
    "three accounts make two fifths of a day on douyin": (
        "bots",
        (
            _set(
                "account",
                "'bot-' || (hash(event_id) % 3)",
                "platform = 'douyin' AND day = {last} AND hash(event_id) % 5 < 2",
            ),
        ),
    ),
    "links of an export name one person for a twentieth of the accounts": (
        "identities",
        ("UPDATE identities SET person = 'unknown' WHERE hash(account) % 20 = 0",),
    ),
    "times in milliseconds on the last day of pdd": (
        "future",
        (_set("event_time", "event_time * 1000", "platform = 'pdd' AND day = {last}"),),
    ),
    "local time of xiaohongshu taken for UTC, three days": (
        "clock",
        (
            "UPDATE events SET event_time = event_time - 28800, arrived_at = arrived_at - 28800, "
            "day = (event_time - 28800) // 86400 WHERE platform = 'xiaohongshu' AND day > {last} - 3",
        ),
    ),
    "files of taobao three days late for a week": (
        "delay",
        (_set("arrived_at", "arrived_at + 3 * 86400", f"platform = 'taobao' AND {_RECENT}"),),
    ),
    "the category bought most goes under another code for a week": (
        "label-shift",
        (_set("category", "'other'", f"category = {_MOST_BOUGHT} AND {_RECENT}"),),
    ),
}
"""Name → the check meant for it, and the SQL that plants it."""

CHANGES: Final[dict[str, tuple[str, ...]]] = {
    "nothing": (),
    "population grows fourfold": (
        "DELETE FROM events WHERE hash(account) % 1000 > 250 + 750 * (day - (SELECT min(day) FROM events)) / "
        "(SELECT max(day) - min(day) FROM events)",
    ),
    "half as much on weekends": (
        "DELETE FROM events WHERE (day + 3) % 7 >= 5 AND (hash(event_id) % 100) < 55",
    ),
    "daily files, some hours late": (
        "UPDATE events SET arrived_at = (day + 1) * 86400 + 1800 + hash(platform, day) % 3600",
    ),
    "a new platform in the last week": (
        "DELETE FROM events WHERE platform = 'jd' AND day <= {last} - 7",
    ),
    "no ads before the last ten days": (
        "DELETE FROM events WHERE kind = 'impression' AND campaign IS NOT NULL AND day <= {last} - 10",
    ),
}  # fmt: skip
"""What happens to sound logs: name → SQL."""
