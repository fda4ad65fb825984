"""Who a bid request is about: which of its ids is an account on which platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from features.errors import SettingsError
from features.settings import Settings
from serving.messages.schemas import AccountRef
from serving.openrtb.schemas import BidRequest, BidUser, UserExt

OFF: Final = "off"
_PAIR: Final = re.compile(r"(?P<id>user\.id|user\.buyeruid|eid:[^\s=,]{1,255})=(?P<platform>[^\s=,]{1,64})")
_EID: Final = "eid:"


@dataclass(frozen=True)
class OpenRtbId:
    """One id of bid requests, and the platform whose accounts it names.

    Parameters
    ----------
    id
        ``user.id``, ``user.buyeruid``, or ``eid:`` and the source of extended ids.
    platform
        As events of these accounts name it.
    """

    id: str
    platform: str

    def values(self, user: BidUser) -> list[str]:
        """Return the ids of this kind."""
        if self.id == "user.id":
            return [user.id] if user.id else []
        if self.id == "user.buyeruid":
            return [user.buyeruid] if user.buyeruid else []
        eids = [*(user.eids or ()), *((user.ext or UserExt()).eids or ())]
        source = self.id.removeprefix(_EID)
        return [uid.id for eid in eids if eid.source == source for uid in eid.uids or () if uid.id]


@dataclass(frozen=True)
class OpenRtbSettings:
    """What an installation says about the bid requests that it gets.

    Parameters
    ----------
    ids
        Which ids count, the one to trust most first; none: no request is enriched.
    vendor
        Its number in the IAB's Global Vendor List; None where it has none.
    """

    ids: tuple[OpenRtbId, ...] = ()
    vendor: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> OpenRtbSettings:
        """Read the settings `openrtb_ids` and `openrtb_vendor`."""
        return cls(read_openrtb_ids(settings.openrtb_ids), settings.openrtb_vendor or None)


OPENRTB_OFF: Final = OpenRtbSettings()


def read_openrtb_ids(text: str) -> tuple[OpenRtbId, ...]:
    """Read the setting `openrtb_ids`.

    Raises
    ------
    SettingsError
        It is not a list of such pairs.

    Examples
    --------
    >>> read_openrtb_ids("user.buyeruid=red, eid:id.example=shop")[1]
    OpenRtbId(id='eid:id.example', platform='shop')
    >>> read_openrtb_ids("off")
    ()
    """
    if text.strip() == OFF:
        return ()
    found = [_PAIR.fullmatch(pair.strip()) for pair in text.split(",")]
    if None in found:
        raise SettingsError(
            "setting openrtb_ids: not pairs of an id and a platform",
            value=text,
            valid=[OFF, "user.id=PLATFORM", "user.buyeruid=PLATFORM", "eid:SOURCE=PLATFORM"],
            next_step="join several with commas, the one to trust most first",
        )
    return tuple(OpenRtbId(match["id"], match["platform"]) for match in found if match)


def accounts_of(bid: BidRequest, ids: tuple[OpenRtbId, ...], most: int = 10) -> list[AccountRef]:
    """Return the accounts that a bid request names, the one to trust most first; impossible ids are left out.

    Parameters
    ----------
    bid
        The request.
    ids
        Which of its ids count.
    most
        Further ones are not looked at.
    """
    user = bid.user or BidUser()
    named = [(one.platform, value) for one in ids for value in one.values(user)]
    accounts = []
    for platform, account in dict.fromkeys(named[:most]):
        try:
            accounts.append(AccountRef(platform=platform, account=account))
        except ValidationError:
            continue  # too long, or with control characters: such an account was never taken
    return accounts
