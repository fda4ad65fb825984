"""Amounts of money as texts: plain numbers, grouping commas, and the currency written beside them."""

from __future__ import annotations

_LARGEST_MINOR = 9_000_000_000_000_000
_DOLLARS = ("USD", "AUD", "CAD", "HKD", "MXN", "NZD", "SGD", "TWD")
_SIGNS = {dollar: ["$"] for dollar in _DOLLARS} | {
    "CNY": ["¥", "￥", "元"],
    "EUR": ["€"],
    "GBP": ["£"],
    "INR": ["₹"],
    "JPY": ["¥", "￥", "円"],
    "KRW": ["₩"],
    "VND": ["₫"],
}


def signs_of(currency: str) -> list[str]:
    """Return what may stand beside amounts of a currency.

    Examples
    --------
    >>> signs_of("CNY"), signs_of("CHF")
    (['CNY', '¥', '￥', '元'], ['CHF'])
    """
    return [currency, *_SIGNS.get(currency, [])]


def minor_units(text: str, decimals: int, signs: list[str]) -> str:
    """Return SQL of the integer minor units that a text says, null where it says none.

    Plain numbers take the short way; only what is none is looked at again, for signs and grouping commas.

    Parameters
    ----------
    text
        SQL of the text.
    decimals
        Decimals of the amounts; 0 where they are minor units already.
    signs
        What may stand before or after the number.
    """
    minor = f"(TRY_CAST({text} AS DOUBLE) * {10**decimals})"
    # Reading and scaling a decimal is off by less than 1e-15 of it: the nearest integer is the exact amount.
    slack = f"1e-7 + 1e-15 * abs({minor})" if decimals else "0"
    exact = f"abs({minor} - round({minor})) <= {slack}"
    plain = f"CASE WHEN abs({minor}) <= {_LARGEST_MINOR} AND {exact} THEN CAST(round({minor}) AS BIGINT) END"
    return f"coalesce({plain}, CASE WHEN {text} IS NOT NULL THEN {_written(text, decimals, signs)} END)"


def _written(text: str, decimals: int, signs: list[str]) -> str:
    blanks = r"[\s\x{00A0}]*"
    sign = "(?:" + "|".join(f"\\Q{sign}\\E" for sign in signs) + ")"
    # A comma is a decimal point in half of Europe: it counts as a group's only where three digits follow each.
    number = rf"(?:[1-9]\d{{0,2}}(?:,\d{{3}}){{1,4}}|\d{{1,15}})(?:\.\d{{0,{decimals}}}0*)?"
    whole = f"(?:{sign}{blanks}{number}|{number}{blanks}{sign}|{number})" if signs else number
    decimal = f"TRY_CAST(regexp_replace({text}, '[^0-9.]', '', 'g') AS DECIMAL(30, {decimals}))"
    minor = f"{decimal} * {10**decimals}"
    valid = f"regexp_full_match({text}, '{whole}') AND {minor} <= {_LARGEST_MINOR}"
    return f"CASE WHEN {valid} THEN CAST({minor} AS BIGINT) END"
