"""Writes a taxonomy file that people can read and edit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WIDTH = 116
_TABLES = ("group", "vertical", "pattern", "tag")


def taxonomy_toml(content: Mapping[str, Any], heading: list[str]) -> str:
    """Return the content of a taxonomy file as TOML.

    Parameters
    ----------
    content
        Plain fields first, and lists of tables under group, vertical, pattern and tag. A field named ``#`` is
        written as a comment above its table.
    heading
        Lines of the comment on top.

    Examples
    --------
    >>> tag = {"#": "draft", "id": "a", "rule": "days(cart) > 1"}
    >>> print(taxonomy_toml({"name": "shop", "tag": [tag]}, ["Ours."]))
    # Ours.
    <BLANKLINE>
    name = "shop"
    <BLANKLINE>
    # draft
    [[tag]]
    id = "a"
    rule = "days(cart) > 1"
    <BLANKLINE>
    """
    blocks = ["\n".join(f"# {line}".rstrip() for line in heading)]
    blocks.append("\n".join(_field(name, value) for name, value in content.items() if name not in _TABLES))
    for name in _TABLES:
        blocks += [_table(name, entry) for entry in content.get(name, ())]
    return "\n\n".join(blocks) + "\n"


def _table(name: str, entry: Mapping[str, Any]) -> str:
    comment = [f"# {entry['#']}"] if "#" in entry else []
    return "\n".join([*comment, f"[[{name}]]", *(_field(key, v) for key, v in entry.items() if key != "#")])


def _field(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return _list(name, [_text(part) for part in value])
    if isinstance(value, Mapping):
        return f"{name} = {{ " + ", ".join(f"{key} = {part!r}" for key, part in value.items()) + " }"
    return f"{name} = {_text(value) if isinstance(value, str) else repr(value)}"


def _list(name: str, parts: list[str]) -> str:
    line = f"{name} = [{', '.join(parts)}]"
    if len(line) <= _WIDTH:
        return line
    lines = [""]
    for part in parts:
        if len(lines[-1]) + len(part) > _WIDTH - 6:
            lines.append("")
        lines[-1] += f" {part},"
    return f"{name} = [\n" + "\n".join(f"   {line}" for line in lines) + "\n]"


def _text(value: str) -> str:
    lines = value.split("\n")
    if (
        len(lines) > 1
        and not lines[-1]
        and all(line.isprintable() for line in lines)
        and "\\" not in value
        and '""' not in value
    ):
        return f'"""\n{value}"""'
    if '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    # JSON's escapes are TOML's, but for DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
