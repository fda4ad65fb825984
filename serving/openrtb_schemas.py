"""The part of an OpenRTB 2.6 bid request that is read; everything else passes through as it is."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict


class Open(BaseModel):
    """An object that may have any further fields."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=True)


class Uid(Open):
    """One id of a source."""

    id: str | None = None


class Eid(Open):
    """Ids of one source, such as an id provider."""

    source: str | None = None
    uids: list[Uid] | None = None


class UserExt(Open):
    """Where OpenRTB 2.5 has what 2.6 has in the user."""

    consent: str | None = None
    eids: list[Eid] | None = None


class BidUser(Open):
    """The person behind the request, as the exchange names them."""

    id: str | None = None
    buyeruid: str | None = None
    yob: int | None = None
    consent: str | None = None
    eids: list[Eid] | None = None
    data: list[dict[str, Any]] | None = None
    ext: UserExt | None = None


class RegsExt(Open):
    """Where OpenRTB 2.5 has what 2.6 has in the regulations."""

    gdpr: int | None = None
    us_privacy: str | None = None
    gpc: int | str | None = None
    gpp_sid: list[int] | None = None


class Regs(Open):
    """What law applies."""

    coppa: int | None = None
    gdpr: int | None = None
    us_privacy: str | None = None
    gpp_sid: list[int] | None = None
    ext: RegsExt | None = None


class BidDevice(Open):
    """What the device says about advertising."""

    dnt: int | None = None
    lmt: int | None = None


class BidRequest(Open):
    """An OpenRTB 2.6 bid request: what is read of it.

    Examples
    --------
    >>> BidRequest.model_validate({"id": "r1", "imp": [{"id": "1"}], "tmax": 120}).tmax
    120
    """

    id: str
    tmax: int | None = None
    user: BidUser | None = None
    regs: Regs | None = None
    device: BidDevice | None = None


BID_PARTS: Final[dict[str, type[BaseModel]]] = {}
"""Unknown fields are no fault here, so none are named; see `serving.bodies.parse`."""
