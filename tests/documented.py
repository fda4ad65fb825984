"""What the documents show: fenced blocks, the commands in them, links and headings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.source_tree import ROOT

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```[ ]*$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"!?\[[^\]\n]*\]\((?P<target>[^)\s]+)[^)\n]*\)")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
END_OF_COMMAND = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>"}
CONSOLE_PROMPT = "$ "


def documents() -> list[Path]:
    """Every document that people read, relative to the root."""
    top = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "mlruns/README.md")]
    return [*top, *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Parameters
    ----------
    document
        Where it stands, relative to the root.
    line
        Line of its first line of content, from 1.
    language
        First word after the fence.
    flags
        The other words, e.g. ``no-run`` for commands that wait for ever or touch a real deployment.
    body
        The text inside.
    """

    document: Path
    line: int
    language: str
    flags: frozenset[str]
    body: str


@dataclass(frozen=True)
class Command:
    """A command that a document tells people to type.

    Parameters
    ----------
    block
        Where it stands.
    text
        The whole shell text, continuation lines joined.
    """

    block: Block
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """Program and arguments up to a pipe, a redirection or the next command, without variables in front."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if word in END_OF_COMMAND:
                break
            if words or not re.fullmatch(r"[A-Z_]+=.*", word):
                words.append(word)
        return tuple(words)

    @property
    def program(self) -> str:
        """Name of the program, without its folder."""
        return self.words[0].rsplit("/", 1)[-1] if self.words else ""

    @property
    def runs(self) -> bool:
        """Whether a test may run it."""
        return "no-run" not in self.block.flags

    def __str__(self) -> str:
        return f"{self.block.document}:{self.block.line}: {self.text}"


def prose_and_blocks(document: Path) -> tuple[str, list[Block]]:
    """Text outside the fenced blocks, and the blocks in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = []
    for match in FENCE.finditer(text):
        language, *flags = match["info"].split() or [""]
        line = text.count("\n", 0, match.start("body")) + 1
        blocks.append(Block(document, line, language, frozenset(flags), match["body"]))
    return FENCE.sub("", text), blocks


def commands(document: Path) -> list[Command]:
    """Commands of a document in the order in which people type them.

    In ``console`` blocks the lines after ``$`` are commands and the others are what they print; in ``sh`` blocks
    every line is one. A backslash at the end of a line joins it with the next.
    """
    found = []
    for block in prose_and_blocks(document)[1]:
        lines = block.body.replace("\\\n", " ").splitlines()
        if block.language == "console":
            lines = [line.strip().removeprefix(CONSOLE_PROMPT) for line in lines if line.strip().startswith("$ ")]
        elif block.language != "sh":
            continue
        found += [
            Command(block, line.strip()) for line in lines if line.strip() and not line.strip().startswith("#")
        ]
    return found


def mentions(document: Path) -> list[tuple[str, ...]]:
    """Words after ``zhongcao`` in the prose of a document where it names a verb in code type."""
    prose = re.sub(r"\s+", " ", prose_and_blocks(document)[0])
    return [tuple(text.split()) for text in re.findall(r"`zhongcao ([a-z][^`|]*)`", prose)]


def links(document: Path) -> list[str]:
    """Targets of the links and pictures of a document that stay inside the repository."""
    targets = [match["target"] for match in LINK.finditer(prose_and_blocks(document)[0])]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(document: Path) -> set[str]:
    """Anchors that the headings of a document make."""
    headings = HEADING.findall(prose_and_blocks(document)[0])
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
