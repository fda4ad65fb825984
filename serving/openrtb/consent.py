"""Whether a bid request allows personal data to be added: in doubt, it does not."""

from __future__ import annotations

from typing import Final, Literal

from serving.openrtb.schemas import BidDevice, BidRequest, BidUser, Regs, RegsExt, UserExt
from serving.openrtb.tc_string import read_tc_string

PURPOSES: Final = frozenset({3, 4})
"""Of the Transparency & Consent Framework: to create profiles for personalised advertising, and to use them."""

OLDEST_CHILD: Final = 14
"""Who turns 14 in the year of the request may still be 13."""

_NO_LAW: Final = -1
_OPTED_OUT: Final = "Y"

Reason = Literal["child", "device", "opt-out", "consent", "unread"]


def why_not_personal(bid: BidRequest, year: int, vendor: int | None = None) -> Reason | None:
    """Return why nothing personal may be added; None where it may.

    Parameters
    ----------
    bid
        The request.
    year
        Of today.
    vendor
        Number in the IAB's Global Vendor List of whoever asks; None where it has none.

    Returns
    -------
    str or None
        ``child``: COPPA applies, or the year of birth is a child's. ``device``: it limits tracking. ``opt-out``: of
        the sale of data, by US Privacy or Global Privacy Control. ``consent``: GDPR applies, or a consent string is
        sent, and there is no consent to both purposes. ``unread``: a law of the Global Privacy Platform applies
        whose string is not read here, or a string is sent without a word on which laws apply.

    Examples
    --------
    >>> why_not_personal(BidRequest.model_validate({"id": "1", "regs": {"gdpr": 1}}), 2026)
    'consent'
    """
    user, device, regs = bid.user or BidUser(), bid.device or BidDevice(), bid.regs or Regs()
    old, said = regs.ext or RegsExt(), user.ext or UserExt()
    if regs.coppa or (user.yob is not None and year - user.yob <= OLDEST_CHILD):
        return "child"
    if device.lmt or device.dnt:
        return "device"
    privacy = (regs.us_privacy or "", old.us_privacy or "")
    if str(old.gpc or 0) != "0" or any(text[2:3].upper() == _OPTED_OUT for text in privacy):
        return "opt-out"
    sections = {*(regs.gpp_sid or ()), *(old.gpp_sid or ())}
    if sections - {_NO_LAW} or ((regs.gpp or old.gpp) and not sections):
        return "unread"
    strings = [text for text in (user.consent, said.consent) if text]
    if (regs.gdpr or old.gdpr) and not strings:
        return "consent"
    given = [read_tc_string(text) for text in strings]
    return None if all(consent and consent.allows(PURPOSES, vendor) for consent in given) else "consent"
