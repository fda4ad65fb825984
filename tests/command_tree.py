"""The command line as data: which verbs there are, and whether words would be understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer


def verbs(app: typer.Typer) -> list[tuple[str, ...]]:
    """Every verb that does something, as its words: ``("taxonomy", "list")``."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield words
            return
        for name, child in children.items():
            yield from walk(child, (*words, name))

    return list(walk(typer.main.get_command(app), ()))


def misunderstanding(app: typer.Typer, words: Sequence[str]) -> str | None:
    """Say why the command line would not take these words, or None; values of files are not looked at."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        if rest == ["--help"]:
            return None
        if not rest or rest[0] not in command.commands:
            return f"no verb {rest[:1]}; valid: {sorted(command.commands)}"
        command = command.commands[rest.pop(0)]
    if "--help" in rest:
        return None
    context = command.context_class(command, info_name=command.name)
    try:
        values, surplus, _ = command.make_parser(context).parse_args(rest)
    except typer.TyperException as error:
        return str(error)
    if surplus:
        return f"too many words: {surplus}"
    missing = [p.name for p in command.params if p.required and values.get(p.name) in (None, (), [])]
    return f"missing: {missing}" if missing else None
