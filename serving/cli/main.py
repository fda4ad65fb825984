"""The ``zhongcao`` command: every verb, one place where errors become messages."""

from __future__ import annotations

import os
import sys

import typer

from features.errors import ZhongcaoError
from serving.cli.champion import register as register_champion
from serving.cli.check import register as register_check
from serving.cli.contribution import register as register_contribution
from serving.cli.conversion import register as register_conversion
from serving.cli.data import register as register_data
from serving.cli.evaluate import register as register_evaluate
from serving.cli.fill import register as register_fill
from serving.cli.inbox import register as register_inbox
from serving.cli.live import register as register_live
from serving.cli.memberships import register as register_memberships
from serving.cli.openapi import register as register_openapi
from serving.cli.people import register as register_people
from serving.cli.plan import register as register_plan
from serving.cli.policy import register as register_policy
from serving.cli.predictions import register as register_predictions
from serving.cli.reproduce import register as register_reproduce
from serving.cli.score import register as register_score
from serving.cli.serve import register as register_serve
from serving.cli.shadow import register as register_shadow
from serving.cli.status import register as register_status
from serving.cli.tags import register as register_tags
from serving.cli.taxonomy import register as register_taxonomy
from serving.cli.train import register as register_train
from serving.cli.uplift import register as register_uplift
from serving.cli.world import register as register_world


def build_app() -> typer.Typer:
    """Put all verbs together."""
    app = typer.Typer(
        name="zhongcao",
        help="Who should see which note: audience tags from interest signals and purchases.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for register in (
        register_data,
        register_inbox,
        register_taxonomy,
        register_check,
        register_train,
        register_evaluate,
        register_conversion,
        register_policy,
        register_plan,
        register_tags,
        register_score,
        register_memberships,
        register_fill,
        register_live,
        register_serve,
        register_champion,
        register_predictions,
        register_reproduce,
        register_shadow,
        register_status,
        register_people,
        register_openapi,
        register_world,
        register_contribution,
        register_uplift,
    ):
        register(app)
    return app


def main() -> None:
    """Run the command line; an error that the user can mend is one line and exit code 2."""
    # Read by OpenMP when lightgbm or scikit-learn is first imported: idle threads must not burn a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        build_app()()
    except ZhongcaoError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
