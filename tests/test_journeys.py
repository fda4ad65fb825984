"""Whole journeys of users, through the command line and the running server, on a small log."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from features.errors import ZhongcaoError
from features.locks import exclusive
from features.log.event_log import EventLog
from features.settings import load_settings
from serving.cli.main import build_app
from tests.documented import Command, commands
from tests.serving.canaries import found
from tests.serving.servers import free_port, running
from tests.source_tree import ROOT
from tests.training.small_log import MAPPING, write_log
from training.bundles.champion import champion_path
from training.tags.bundle import load_bundle

AS_OF = "2024-05-28"
ORDERS = "订单编号,状态,付款时间,买家,类目,实付金额\n" + "".join(
    f"o{i},交易成功,2024-03-{1 + i % 28:02d} 10:00:00,m{i % 7},tea,{i}.50\n" for i in range(40)
)
ORDERS += "o40,交易成功,昨天,m1,tea,3.50\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that a user works in, with the examples at hand and a log of 150 people."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "examples").symlink_to(ROOT / "examples")
    write_log(folder / "log.csv")
    (folder / "log.csv.gz").write_bytes(gzip.compress((folder / "log.csv").read_bytes()))
    (folder / "log.toml").write_text(MAPPING)
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "orders-2023.csv").write_text(ORDERS.replace("2024", "2023").replace("o", "p"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ZHONGCAO_CONFIG", os.devnull)
        patch.setenv("ZHONGCAO_THREADS", "2")
        patch.setenv("ZHONGCAO_HOME", str(folder / "var"))
        patch.setenv("ZHONGCAO_MLRUNS", str(folder / "mlruns"))
        yield folder


def zhongcao(*words: str) -> Result:
    """Run a command in this process."""
    result = CliRunner().invoke(build_app(), list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit | ZhongcaoError):
        raise result.exception
    return result


TRAINING = ("--taxonomy", "tags.toml", "--most-instants", "3")


def done(*words: str) -> str:
    """Run a command that must work, and return what it said."""
    result = zhongcao(*words)
    assert result.exit_code == 0, f"{words}: {result.exception} {result.output}"
    return result.output


@pytest.fixture(scope="module")
def retrained(home: Path) -> str:
    """The newcomer's way: import by mapping, draft a taxonomy, run the chain."""
    assert "accepted" in done("import", "--mapping", "log.toml", "log.csv")
    done("taxonomy", "propose", "--as-of", AS_OF, "--horizon-days", "15", "--out", "tags.toml")
    done("taxonomy", "check", "tags.toml")
    return done("retrain", *TRAINING, "--as-of", AS_OF)


@pytest.mark.e2e
def test_from_files_to_answers(home: Path, retrained: str) -> None:
    assert "zhongcao serve" in retrained
    settings = load_settings()
    bundle = load_bundle(champion_path(settings))
    report = settings.report_file.read_text()
    assert all(
        word in report for word in (bundle.version, "history count", "data:image/png;base64,", "zhongcao serve")
    )
    assert "http://" not in report.replace("http://127.0.0.1", "")
    with running(settings, free_port()) as (_, url), httpx.Client(base_url=url) as http:
        assert http.get("/readyz").json()["model"] == bundle.version
        people = [{"platform": "shop", "account": "u1"}, {"platform": "shop", "account": "nobody"}]
        answer = http.post("/v1/tags", json={"people": people, "top": 3, "explain": True}).json()
    known, unknown = answer["people"]
    assert answer["model"] == bundle.version
    assert (known["person"], known["status"], unknown["status"]) == (people[0], "known", "unknown")
    assert len(known["tags"]) == 3
    assert unknown["tags"] == []
    assert all(0 < tag["probability"] < 1 and tag["factors"] for tag in known["tags"])
    assert known["tags"] == sorted(known["tags"], key=lambda tag: -tag["probability"])


@pytest.mark.e2e
def test_models_and_mlflow_hold_nobody(home: Path, retrained: str) -> None:
    settings = load_settings()
    log = EventLog.open(settings)
    con = log.connect()
    accounts = [account for (account,) in log.events(con).project("account").distinct().fetchall()]
    con.close()
    assert found(settings.work_dir, accounts) != []
    assert found(settings.mlruns, accounts) == []
    assert found(settings.bundles_dir, accounts) == []


@pytest.mark.e2e
def test_running_it_again_reuses_everything(home: Path, retrained: str) -> None:
    settings = load_settings()
    before = champion_path(settings), sorted(settings.bundles_dir.iterdir())
    assert "accepted 0" in done("import", "--mapping", "log.toml", "log.csv", "log.csv.gz")
    stale = settings.home / "added" / "of-an-earlier-model", settings.work_dir / "bins" / "of-earlier-windows"
    for folder in stale:
        folder.mkdir(parents=True)
    again = zhongcao("retrain", *TRAINING, "--as-of", AS_OF)
    assert again.exit_code == 0
    for step in ("features-and-labels", "train-tags", "evaluate"):
        assert f"{step}: reused" in again.stderr
    assert "register-tags: reused" in again.stderr
    assert not any(folder.exists() for folder in stale)
    assert (champion_path(settings), sorted(settings.bundles_dir.iterdir())) == before


@pytest.mark.e2e
def test_an_engineer_trains_and_evaluates(home: Path, retrained: str) -> None:
    day = "2024-05-13"
    out = done(
        "evaluate",
        "tags",
        "--taxonomy",
        "tags.toml",
        "--as-of",
        day,
        "--most-instants",
        "3",
        "--json",
        "quality.json",
    )
    assert "quality.json" in out
    figures = json.loads(Path("quality.json").read_text())
    assert set(figures["macro"]) == {"zhongcao", "history_count", "logistic_regression"}
    assert figures["macro"]["zhongcao"]["macro_auc"] > 0.7
    assert figures["bundle"] in done("train", "tags", *TRAINING, "--as-of", day)
    with pytest.raises(ZhongcaoError, match="not over in this log"):
        raise zhongcao("evaluate", "tags", *TRAINING, "--as-of", AS_OF).exception or AssertionError


ON_THE_DEMO_DATA = re.compile("import complete-journey|complete-journey-categories")
"""Needs the whole of the demo data: imported by ``make demo``, drafted from in the tests of proposals."""


def documented(page: str) -> list[Command]:
    found = [c for c in commands(Path(page)) if c.program == "zhongcao" and c.runs]
    return [command for command in found if not ON_THE_DEMO_DATA.search(command.text)]


@pytest.mark.e2e
@pytest.mark.parametrize("page", ["docs/connect-a-shop.md", "docs/events.md", "docs/taxonomy.md"])
def test_every_documented_command_runs(home: Path, retrained: str, page: str) -> None:
    found = documented(page)
    assert found
    for command in found:
        listed = done("quarantine", "list")
        names = [line.split()[0] for line in listed.splitlines() if line.endswith("rows of orders.csv")]
        words = [names[-1] if word == "NAME" else word for word in command.words[1:]]
        done(*words)


@pytest.mark.e2e
def test_of_two_jobs_at_once_one_runs_and_the_other_says_so(home: Path, retrained: str) -> None:
    with exclusive(load_settings().work_dir / "retrain.lock", ZhongcaoError("busy")):
        refused = zhongcao("retrain", *TRAINING, "--as-of", AS_OF)
    assert refused.exit_code == 5
    assert "another retraining job runs" in refused.stderr
