"""A table of checks for the terminal."""

from __future__ import annotations

from rich.table import Table

from training.gates.check import Report


def checks_table(report: Report) -> Table:
    """Return one line per check, with examples under those that found something.

    Parameters
    ----------
    report
        Of data, of models or of a promotion.
    """
    table = Table("check", "", "found", title=f"Checks of {report.about}")
    for check in report.checks:
        more = [f"  {example}" for example in check.examples if not check.said.startswith(example)]
        next_step = [f"  next: {check.next_step}"] if check.next_step and check.status != "PASS" else []
        table.add_row(check.name, check.status, "\n".join([check.said, *more, *next_step]))
    return table
