"""HTML pages that need nothing from outside: rendered with every value escaped, written atomically."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader

from features.durable import write_durably


def write_page(path: Path, template: str, **values: object) -> None:
    """Render a template of this package and put the page in its place at once, for its owner only.

    Parameters
    ----------
    path
        The HTML file; its folder is made if missing.
    template
        File name among the templates.
    values
        What the template shows, as text or numbers.
    """
    loader = PackageLoader("serving.pages")
    environment = Environment(autoescape=True, loader=loader)
    environment.filters |= {"number": number, "percent": percent}
    page = environment.get_template(template).render(**values)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, page)


def pictures(plots: Sequence[Path]) -> list[dict[str, str]]:
    """Return PNG files as name and base64, to be put into a page."""
    return [
        {"name": plot.stem.replace("_", " "), "data": base64.b64encode(plot.read_bytes()).decode()}
        for plot in plots
    ]


def number(value: float, places: int) -> str:
    """Write a figure, or a dash where it is not defined.

    Examples
    --------
    >>> number(0.12345, 3), number(float("nan"), 3)
    ('0.123', '–')
    """
    return f"{value:.{places}f}" if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """Write a share, or a dash where it is not defined.

    Examples
    --------
    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.1f} %" if math.isfinite(share) else "–"
