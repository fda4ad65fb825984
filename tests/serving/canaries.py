"""A home in which somebody is everywhere, and a look into every byte of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.inbox.inbox import Inbox
from features.inbox.live_events import LiveReader
from features.inbox.mover import move
from features.log.event_log import EventLog
from features.log.importing import Summary
from features.people.identity import Pseudonyms, account_key, load_key, person_key
from features.rights.ledger import note_output
from features.rights.tombstones import Tombstones
from features.settings import Settings
from features.sources.mapping import mapping_of
from serving.batch.people import Everybody
from serving.batch.row_source import StoreRows
from serving.batch.scores import score_people
from serving.batch.table import ScoreFilter
from serving.histories.sqlite_store import SqliteHistories
from serving.memberships.changes import Comparison
from serving.memberships.export import FILES, export_changes
from serving.memberships.making import make_version
from serving.memberships.versions import Versions
from serving.online.sqlite_store import SqliteStore
from serving.predictions.files import PredictionFiles
from serving.predictions.ids import new_id
from serving.predictions.record import Origin
from serving.shadow.kept_scores import KeptScores, Scored
from tests.features.log_cases import imported, mapping, written
from tests.serving.fakes import FakeBundle
from tests.serving.predictions import made

T = 1_749_000_000
CANARY, SECOND = "canary-13800138000", "canary-second-id"
"""Raw ids of the two accounts of one person, ``shop`` and ``red``."""

NAMED = "canary-person-id"
PEOPLE = ("ann", "bob", "cat")
DAMAGED = f"view\t{CANARY}\tbroken"
EVENTS = "\n".join(
    [
        "id,kind,t,user,item,amount",
        *(f"o-{n},purchase,{T + n},{user},tea,12.50" for n, user in enumerate([CANARY, *PEOPLE] * 3)),
        f"of {CANARY},purchase,{T + 50},{CANARY},tea,1.00",
        f"bad-1,no-such-kind,{T},{CANARY},tea,1.00",
        f"bad-2,no-such-kind,{T},ann,tea,1.00",
        "",
    ]
)
LINKS = f"user,person,t\n{CANARY},{NAMED},{T}\nann,p-ann,{T}\n"
LINKS_RED = f"user,person,t\n{SECOND},{NAMED},{T}\n"


def keys(settings: Settings) -> tuple[str, list[str]]:
    """Key of the person, and of the two accounts."""
    key = load_key(settings)
    return person_key(key, NAMED), [account_key(key, "shop", CANARY), account_key(key, "red", SECOND)]


def import_all(settings: Settings, folder: Path) -> list[Summary]:
    columns = mapping().columns | {"event_id": "id"}
    links = {"source": "crm", "table": "identities", "time": "epoch_s"}
    of = {"columns": {"account": "user", "person": "person", "valid_from": "t"}}
    shop, red = (mapping_of({**links, **of, "platform": name}, "crm.toml") for name in ("shop", "red"))
    about = {"columns": {"account": "user", "attribute": "person", "valid_from": "t"}, "table": "people"}
    people = mapping_of({"source": "ages", "time": "epoch_s", "platform": "shop", **about}, "ages.toml")
    arms = {"columns": {"account": "user", "campaign": "person", "arm": "person", "valid_from": "t"}}
    lot = mapping_of(
        {"source": "lot", "time": "epoch_s", "platform": "shop", "table": "assignments", **arms}, "lot.toml"
    )
    return [
        imported(settings, written(folder, EVENTS), mapping(columns=columns)),
        imported(settings, written(folder, LINKS, "links.csv"), shop),
        imported(settings, written(folder, LINKS_RED, "red.csv"), red),
        imported(settings, written(folder, LINKS.replace(NAMED, "old"), "ages.csv"), people),
        imported(settings, written(folder, LINKS.replace(NAMED, "spring"), "lot.csv"), lot),
    ]


def live(number: int, account: str, platform: str = "shop", **more: object) -> dict[str, object]:
    return {
        "event_id": f"{account}-{number}", "kind": "click", "event_time": T + number, "platform": platform,
        "account": account, **more,
    }  # fmt: skip


def reader(log: EventLog) -> LiveReader:
    tombstones = Tombstones(log.settings)
    return LiveReader(log.currency, Pseudonyms(load_key(log.settings)), tombstones=tombstones)


def send(inbox: Inbox, log: EventLog, first: int) -> list[str]:
    """Send good and bad events of both accounts and of others; return what became of them."""
    items = [
        live(first, CANARY), live(first, SECOND, "red"), live(first, "bob"),
        live(first + 1, CANARY, kind="no kind"), live(first + 1, "bob", kind="no kind"),
    ]  # fmt: skip
    read = reader(log)
    verdicts = inbox.accept(read.read([*items, None], "till", texts=[*map(json.dumps, items), DAMAGED]))
    assert read._tombstones is not None
    read._tombstones.close()
    return [verdict.outcome for verdict in verdicts]


def fill_stores(settings: Settings) -> None:
    person, accounts = keys(settings)
    everybody = sorted([person, *(account_key(load_key(settings), "shop", name) for name in PEOPLE)])
    store = SqliteStore(settings.store_file)
    with store.fill("layout-1", 3, T) as fill:
        fill.add(everybody, np.full((len(everybody), 3), 0.5, np.float32))
        fill.link(accounts, [person] * 2)
    histories = SqliteHistories(settings.histories_file)
    acts = pa.record_batch({"kind": ["click"], "event_time": [7]})
    with histories.fill(acts.schema, T, "log 1") as filling:
        filling.add("all", dict.fromkeys(everybody, acts), dict.fromkeys(accounts, person))
    histories.close()
    predictions = [made(new_id(), one) for one in [person, *everybody]]
    PredictionFiles(settings.predictions_dir).add(
        predictions, lambda one: Origin(one.kind, one.model, "hash", "c1", one.schema, one.source, 1.0)
    )
    one = np.ones((1, 1), np.float32)
    KeptScores(settings.home / "shadow" / "tags" / "tags-2-1").add(
        [Scored(each.id, each.person, T, T, "tags-1", ("tea",), ("",), one, one) for each in predictions],
        frozenset,
        100,
    )
    seeds = settings.home / "seeds"
    seeds.mkdir()
    (seeds / "like.json").write_text(json.dumps({"id": "like", "persons": everybody}))
    added = settings.home / "added" / "layout"
    added.mkdir(parents=True)
    np.save(added / "persons.npy", np.array([one.encode() for one in everybody]))
    np.save(added / "columns.npy", np.ones((len(everybody), 1), np.float32))
    (added / "about.json").write_text("{}")
    window = settings.work_dir / "windows" / "v0" / "w"
    window.mkdir(parents=True)
    pq.write_table(pa.table({"person": everybody}), window / "persons.parquet")
    settings.report_file.write_text(f"<p>{person[:8]}…</p>", encoding="utf-8")
    (settings.home / "study.html").write_text("<p>nobody</p>", encoding="utf-8")
    (settings.bundles_dir / "tags-before").mkdir(parents=True)
    out = settings.home.parent / "scores"
    note_output(settings, out)
    score_people(FakeBundle(), Everybody(StoreRows(store), []), ScoreFilter(), out)
    export_memberships(settings, StoreRows(store))
    ranking = settings.home.parent / "ranking.csv"
    note_output(settings, ranking)
    ranking.write_text("rank,person\n1," + "\n2,".join(everybody) + "\n")
    store.close()


def export_memberships(settings: Settings, rows: StoreRows) -> None:
    versions = Versions(settings)
    nothing = {"withdrawn": [], "deleted": {}, "said": frozenset(), "stamp": 0}
    version, _ = make_version(versions, FakeBundle(), rows, now=T, **nothing)
    for files in FILES:
        out = settings.home.parent / "members" / files
        note_output(settings, out)
        export_changes(Comparison(versions, None, version), out, files)


def full_home(folder: Path) -> Settings:
    """Make a home that holds the person in every place."""
    settings = Settings(home=folder / "home", mlruns=folder / "home" / "mlruns", threads=1)
    outside = folder / "outside"
    outside.mkdir()
    import_all(settings, outside)
    log = EventLog.open(settings)
    with Inbox(log) as inbox:
        send(inbox, log, 100)
        move(inbox, log)
        send(inbox, log, 200)
        for seq, *_ in inbox.after(-1, 1000):
            inbox.set_aside("tags", seq, "KeyError")
    fill_stores(settings)
    return settings


def found(folder: Path, needles: Sequence[str]) -> list[str]:
    """Return the files that hold one of the needles: in their bytes, names, Parquet values or SQLite values."""
    wanted = [needle.encode() for needle in needles]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and any(needle in content for content in [path.name.encode(), *_contents(path)] for needle in wanted)
    )


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield repr(pq.read_table(path).to_pylist()).encode()
        yield repr([pq.ParquetFile(path).metadata.row_group(n).to_dict() for n in range(_groups(path))]).encode()
    elif path.suffix == ".npy":
        yield repr(np.load(path, allow_pickle=False).tolist()).encode()
    elif path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode()


def _groups(path: Path) -> int:
    return int(pq.ParquetFile(path).num_row_groups)
