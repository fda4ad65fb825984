"""What people ask for about themselves, through the platform or its operator."""

from __future__ import annotations

from collections.abc import Sequence

from features.locks import exclusive
from features.rights.ledger import delete_tag
from features.settings import Settings
from serving.rights.erase_outputs import OutputsPlace


def forget_tag(settings: Settings, keys: Sequence[str], tag: str) -> int:
    """Never infer a tag of somebody again, and delete it from batch outputs; return how many lines that were.

    Parameters
    ----------
    settings
        Where everything lies.
    keys
        Of the person and all accounts.
    tag
        Its id; it need not be in the taxonomy that serves.
    """
    delete_tag(settings, keys, tag)
    with exclusive(settings.work_dir / "erasure.lock"):
        return OutputsPlace(settings).erase_tag(set(keys), tag)
