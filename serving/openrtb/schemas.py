"""The part of an OpenRTB 2.6 bid request that is read; everything else passes through as it is."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
"""A whole number that every reader of JSON takes for the same."""


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
    yob: Whole | None = None
    consent: str | None = None
    eids: list[Eid] | None = None
    data: list[dict[str, Any]] | None = None
    ext: UserExt | None = None


class RegsExt(Open):
    """Where OpenRTB 2.5 has what 2.6 has in the regulations."""

    gdpr: Whole | None = None
    us_privacy: str | None = None
    gpc: Whole | str | None = None
    gpp: str | None = None
    gpp_sid: list[Whole] | None = None


class Regs(Open):
    """What law applies."""

    coppa: Whole | None = None
    gdpr: Whole | None = None
    us_privacy: str | None = None
    gpp: str | None = None
    gpp_sid: list[Whole] | None = None
    ext: RegsExt | None = None


class BidDevice(Open):
    """What the device says about advertising."""

    dnt: Whole | None = None
    lmt: Whole | None = None


class BidRequest(Open):
    """An OpenRTB 2.6 bid request: what is read of it.

    Examples
    --------
    >>> BidRequest.model_validate({"id": "r1", "imp": [{"id": "1"}], "tmax": 120}).tmax
    120
    """

    id: str
    tmax: Whole | None = None
    user: BidUser | None = None
    regs: Regs | None = None
    device: BidDevice | None = None


BID_PARTS: Final[dict[str, type[BaseModel]]] = {}
"""Unknown fields are no fault here, so none are named; see `serving.messages.bodies.parse`."""
