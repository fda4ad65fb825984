"""Quality of the tag models on Complete Journey, beside what others would do.

Protocol: 200 tags, "buys in the category within 30 days", for the categories with the most buying households
before 2017-11-01. Everybody with a purchase before the instant is scored. Models know what was known on 2017-11-01,
choices are made on the window that starts on 2017-10-01, and the window that starts on 2017-11-01 is looked at
once, here. AUC and AP are means over the tags, log loss and calibration error are over all pairs, CPU is that of
all threads, fit only. Differences come with 95 % intervals from a paired bootstrap over households. The same table
follows on a second, made-up log of another shape (bench.second_log). docs/decisions.md lists every run on the test
window.

    python -m bench.tag_quality --json PATH
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rich.console import Console

from bench import second_log
from bench.tag_contestants import Result, contest, quality_table
from features.datasets.complete_journey import import_complete_journey
from features.days import instant_of
from features.settings import Settings
from features.taxonomy.taxonomy import load_taxonomy
from training.steps import Steps
from training.tags.fit import TagSettings
from training.tags.job import JobSettings, TagJob

KEY = bytes(range(32))
"""A fixed key for pseudonyms, so that people come in the same order in every run."""


def main() -> None:
    """Run the protocol and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--taxonomy", type=Path, default=Path("examples/complete_journey/categories.toml"))
    parser.add_argument("--home", type=Path, help="keep log and windows here and reuse them")
    parser.add_argument("--without-one-vs-rest", action="store_true", help="leave the slowest peer out")
    arguments = parser.parse_args()
    print("this may take up to an hour; the one-vs-rest peer takes most of it")
    with tempfile.TemporaryDirectory() as scratch:
        home, one_vs_rest = arguments.home or Path(scratch), not arguments.without_one_vs_rest
        result = run(home, arguments.taxonomy, one_vs_rest)
        second = second_log.run(home, one_vs_rest)
    console = Console(width=180)
    console.print(quality_table("Tags on Complete Journey, window from 2017-11-01", result))
    console.print(quality_table(second_log.TITLE, second))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({**result, "second_log": second}, indent=1) + "\n")


def run(home: Path, taxonomy_file: Path, one_vs_rest: bool) -> Result:
    """Import, train, and score the test window once with every model."""
    settings = Settings(home=home, mlruns=home / "mlruns")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not settings.key_file.exists():
        settings.key_file.touch(mode=0o600)
        settings.key_file.write_bytes(KEY)
    import_complete_journey(settings)
    taxonomy = load_taxonomy(taxonomy_file)
    test_at, validate_at = instant_of("2017-11-01"), instant_of("2017-10-01")
    # The protocol scores people with a purchase, and all 200 tags, however rare.
    choices = JobSettings(tags=TagSettings(min_positives=1), validation=validate_at, kinds=("purchase",))
    job = TagJob(settings, taxonomy, test_at, choices, Steps())
    test = job.windows([test_at], job.builder.source.last + 1, "test window")[0]
    return contest(job, test, one_vs_rest=one_vs_rest)


if __name__ == "__main__":
    main()
