"""Named errors: each says the bad value, the valid ones and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_ABSENT: Final = object()
_SHOWN_CHOICES: Final = 12


class ZhongcaoError(Exception):
    """Base of every error that a user of zhongcao can cause and mend.

    Parameters
    ----------
    problem
        What is wrong, one sentence without a full stop.
    value
        The offending value, shown with ``repr``; leave out where there is none.
    valid
        The values that would have been accepted.
    next_step
        What to do now.

    Examples
    --------
    >>> print(ZhongcaoError("unknown event kind", value="clik", valid=["click", "like"]))
    unknown event kind: 'clik'; valid: click, like
    """

    def __init__(
        self, problem: str, *, value: object = _ABSENT, valid: Iterable[object] = (), next_step: str = ""
    ) -> None:
        self.problem = problem
        self.value = None if value is _ABSENT else value
        self.valid = tuple(valid)
        self.next_step = next_step
        text = problem if value is _ABSENT else f"{problem}: {value!r}"
        if self.valid:
            shown = ", ".join(str(choice) for choice in self.valid[:_SHOWN_CHOICES])
            more = len(self.valid) - _SHOWN_CHOICES
            text += f"; valid: {shown}" + (f" and {more} more" if more > 0 else "")
        if next_step:
            text += f"; {next_step}"
        super().__init__(text)


class SettingsError(ZhongcaoError):
    """A setting is missing, unknown or out of range."""


class MappingError(ZhongcaoError):
    """A mapping file does not describe its data."""


class SourceError(ZhongcaoError):
    """A data source cannot be read at all (single bad rows go to quarantine instead)."""


class EventLogError(ZhongcaoError):
    """The event log is missing, busy, or asked for what it does not hold."""


class FeatureError(ZhongcaoError):
    """A feature definition or a spine is not valid."""


class TaxonomyError(ZhongcaoError):
    """A taxonomy file is not valid: names the tag and the field."""


class RuleError(TaxonomyError):
    """A tag's rule cannot be read or computed."""


class LogTooShortError(ZhongcaoError):
    """The log does not span the windows that were asked for."""


class TrainingError(ZhongcaoError):
    """A model cannot be trained on what was given."""


class GateError(ZhongcaoError):
    """Data or a model failed a check that stops the run; what served before goes on."""


class OverlapError(ZhongcaoError):
    """An effect cannot be told from the data: nobody comparable was left without the campaign."""


class BundleError(ZhongcaoError):
    """A bundle is corrupt, foreign, or fails its golden rows."""


class RegistryError(ZhongcaoError):
    """No such run or model version in the registry."""


class StoreError(ZhongcaoError):
    """The online store is missing or holds rows of another schema."""


class PredictionLogError(ZhongcaoError):
    """The prediction log does not hold what is asked for, or cannot be read or rewritten now."""


class RightsError(ZhongcaoError):
    """What a person asked for cannot be kept, read or finished now."""


class RequestError(ZhongcaoError):
    """A request asks for what the model or the store cannot answer; says so without the values that were sent."""


class ScoresError(ZhongcaoError):
    """Scores cannot be written to a folder, or a list of people cannot be read."""


class MembershipsError(ZhongcaoError):
    """A version of the memberships is not kept, or cannot be made or written now."""


class AccessError(ZhongcaoError):
    """A caller has no right to what it asks for, or a bind is not safe."""


class ContributionError(ZhongcaoError):
    """A contribution report is asked for what the log does not hold, or for days that are none."""


class InboxError(ZhongcaoError):
    """Live events cannot be taken now; nothing of the batch counts as accepted, and it can be sent again.

    Parameters
    ----------
    problem
        What stands in the way, one sentence without a full stop.
    retry_after
        Seconds after which another try makes sense.
    busy
        Whether callers send faster than the disk takes, rather than something being wrong here.
    """

    def __init__(self, problem: str, *, retry_after: int, busy: bool = False) -> None:
        super().__init__(problem, next_step=f"send the same events again in {retry_after} s")
        self.retry_after = retry_after
        self.busy = busy
