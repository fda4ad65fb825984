"""Quality of the tag models on a second log of another shape: made up, six weeks, category codes only, no amounts.

Protocol: everything automatic. `taxonomy propose --shape categories` drafts one tag for each of the 80 categories
and takes the horizon from the log's span (7 days); the model is trained as of the start of the log's last window,
on the instants that it chooses itself, and that window is scored. Measures are those of bench.tag_quality.

    python -m bench.second_log --json PATH
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import tomllib
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rich.console import Console

from bench.tag_contestants import Result, contest, quality_table
from features.log.event_log import EventLog
from features.proposals.taxonomy import propose
from features.settings import Settings
from features.taxonomy.taxonomy import taxonomy_of
from tests.logs.shop_log import ShopLog, shop_home
from training.splits import last_mature
from training.steps import Steps
from training.tags.fit import TagSettings
from training.tags.job import JobSettings, TagJob

TITLE = "Tags on a made-up log: six weeks, category codes only, no amounts; window of its last 7 days"


def main() -> None:
    """Run the protocol and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--home", type=Path, help="keep log and windows here and reuse them")
    parser.add_argument("--without-one-vs-rest", action="store_true", help="leave the slowest peer out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = run(arguments.home or Path(scratch), not arguments.without_one_vs_rest)
    Console(width=180).print(quality_table(TITLE, result))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def run(home: Path, one_vs_rest: bool) -> Result:
    """Make the log up, draft the tags, train, and score the last window once with every model."""
    folder = home / "second-log"
    settings = Settings(home=folder, mlruns=folder / "mlruns")
    if not settings.log_dir.exists():
        settings = shop_home(folder, ShopLog())
    log = EventLog.open(settings)
    con = log.connect()
    end = log.span(con)[1] + 1
    taxonomy = taxonomy_of(tomllib.loads(propose(log.events(con), end, shape="categories")))
    con.close()
    at = last_mature(end, taxonomy.horizon_days)
    # As in bench.tag_quality, all tags count, however rare.
    job = TagJob(settings, taxonomy, at, JobSettings(tags=TagSettings(min_positives=1)), Steps())
    for choice in job.chosen:
        print(choice)
    test = job.windows([at], end, "test window")[0]
    return contest(job, test, one_vs_rest=one_vs_rest)


if __name__ == "__main__":
    main()
