"""Events cut into the parts that a fill goes through, in one pass over the log instead of one for each part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.log.cut import Cut, Relation, write_cut
from features.people.person_links import PersonLinks
from features.spine import Spine

Read: TypeAlias = Callable[[int, duckdb.DuckDBPyConnection], Relation]
_PART: Final = "fill_part"
_CUT: Final = """
select {columns}, p.{part} from events_ e join parted_ p using (account)
where e.event_time >= {after} or e.kind in ({kept})
"""


@contextmanager
def parted_events(
    events: Relation,
    links: PersonLinks,
    parts: Sequence[Spine],
    folder: Path,
    *,
    after: int,
    kept: Sequence[str],
    columns: Sequence[str] | None = None,
) -> Iterator[Read]:
    """Cut events by part; the files are deleted in the end.

    An account that was several people's lies in the parts of all of them.

    Parameters
    ----------
    events
        Canonical events.
    links
        Whose accounts are whose.
    parts
        People of each part.
    folder
        Where the parts are kept meanwhile; what an earlier run left there is deleted.
    after, kept
        Leave out what happened before that, epoch seconds, but for these kinds.
    columns
        Those that are read of the parts; all by default.

    Yields
    ------
    Read
        Returns the events of a part by its number, on a connection, so that threads with one each may read them; of
        a single part, all that was given.
    """
    if len(parts) < 2:
        yield lambda _number, _con: events
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    parted_ = pa.concat_tables([_accounts(links, spine, number) for number, spine in enumerate(parts)])  # noqa: F841
    kinds = ", ".join(f"'{kind}'" for kind in kept) or "''"
    asked = events.columns if columns is None else [name for name in events.columns if name in columns]
    named = ", ".join(f'e."{name}"' for name in asked)
    cut = events.query("events_", _CUT.format(part=_PART, columns=named, after=int(after), kept=kinds))
    try:
        write_cut(cut, _PART, folder)
        made = Cut(folder)
        yield lambda number, con: con.from_arrow(made[number])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accounts(links: PersonLinks, spine: Spine, number: int) -> pa.Table:
    owned = links.accounts_of(pc.unique(spine.rows["person"].combine_chunks()))["account"]
    accounts = pc.unique(pa.chunked_array([*owned.chunks, *spine.accounts["account"].chunks], pa.string()))
    return pa.table({"account": accounts, _PART: pa.array(np.full(len(accounts), number), pa.int32())})
