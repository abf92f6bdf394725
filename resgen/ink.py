"""Colour and weight of plain text, where a terminal shows it.

Whatever is printed is made as plain text; the tables here say which words of it stand out. So
what a pipe gets is what a terminal shows, less the colours. NO_COLOR (no-color.org) means plain
everywhere, FORCE_COLOR coloured everywhere; a terminal called `dumb` has none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {
    "good": "green",
    "bad": "bold red",
    "odd": "yellow",
    "head": "bold",
    "word": "cyan",
    "faint": "dim",
}
_END = r"(?=:|[ ]*$|[ ]{2})"
_HEADERS = (
    "activations", "accuracy", "apart", "best", "block", "blocks", "both", "bound", "bytes",
    "class", "classes", "deviation", "depths", "error", "family", "FLOPs", "from", "held-out",
    "held out", "image", "images", "input", "kind", "latency", "layer", "layers", "length", "loss",
    "MACs", "memory", "mode", "n", "name", "network", "of", "output", "params", "precision",
    "proof", "recipe", "run", "runs", "same as", "seed", "shortcut", "state", "test", "time",
    "top-1", "top-5", "training", "widths",
)  # fmt: skip
TEXT = (
    rf"(?<![\w-])(?P<good>holds){_END}",
    r"(?P<good>proof holds)(?= in all)",
    rf"(?<![\w-])(?P<bad>FAILS|fails|does not hold|diverged){_END}",
    rf"(?<![\w-])(?P<odd>undecided){_END}",
    r"^(?P<bad>error):",
    r"^ *(?P<odd>note)(?=:| )",
    r"^(?P<head>\S+)(?=   \S+x\S+ -> )",
    r"^(?P<head>total\b.*)$",
    r"^(?P<head>proof|main path|shortcuts|weights|additions|other|outputs)(?=  |$)",
    r"^(?P<head>claim|verdict|report)(?=  )",
    rf"^(?P<head>\S* *(?:\b(?:{'|'.join(_HEADERS)})\b *|\+/- *){{3,}})$",
)
"""What stands out in reports: verdicts, labels, headers, totals."""
HELP = (
    r"^(?P<head>Usage|[A-Z][A-Za-z ,-]*(?=:$))",
    r"^  (?P<word>-\S+(?:, -\S+)?(?: / -\S+)?)",
    r"(?<=[ (`])(?P<word>--[a-z][a-z-]*)",
    r"^  (?P<word>[a-z]+)(?=  )",
    r"(?P<faint>\[(?:default: [^\]]*|required|[^\]]*<=x[^\]]*|x>=[^\]]*)\])",
)
"""What stands out in `--help`."""


def wanted(stream: TextIO) -> bool:
    """Whether a stream shows colour, as the environment and its terminal say."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def painted(text: str, rules: tuple[str, ...] = TEXT) -> Text:
    """The text with the names of its styles, for a `console`."""
    from rich.text import Text

    made = Text(text)
    for rule in rules:
        made.highlight_regex(f"(?m){rule}")
    return made


def console(stream: TextIO) -> Console:
    """What writes to a stream: text is text, and a line is as long as it is."""
    from rich.console import Console
    from rich.theme import Theme

    # A path in a line is text: its brackets are no colours and its colons no pictures.
    return Console(
        file=stream,
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
        theme=Theme(STYLES),
    )


def written(text: str, stream: TextIO, rules: tuple[str, ...] = TEXT) -> str:
    """The text as a stream gets it, with the terminal's codes in it where it shows colour."""
    if not wanted(stream):
        return text
    with (screen := console(stream)).capture() as caught:
        screen.print(painted(text, rules), end="")
    return caught.get()
