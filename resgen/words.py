"""Numbers and shapes in words, and lines that fit into a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

COLUMNS = 80


def size(shape: Sequence[int]) -> str:
    """(3, 224, 224) -> 3x224x224."""
    return "x".join(map(str, shape))


def short(count: int) -> str:
    """4089184256 -> 4.089 G; exact below a thousand."""
    sign, count = ("-", -count) if count < 0 else ("", count)
    if count < 1000:
        return f"{sign}{count}"
    for unit, scale in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        # Half a step below the scale would otherwise print as 1000.0 of the unit under it.
        if count >= scale * 0.99995:
            value = count / scale
            digits = 1 if scale < 10**9 or value >= 99.995 else 2 if value >= 9.9995 else 3
            return f"{sign}{value:.{digits}f} {unit}"
    raise AssertionError(count)


def memory(count: int) -> str:
    """102228128 -> 97.5 MiB; exact below a KiB."""
    if abs(count) < 1024:
        return f"{count} B"
    for unit, scale in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= scale * 0.99995:
            return f"{count / scale:.{2 if scale >= 2**30 else 1}f} {unit}"
    raise AssertionError(count)


def aligned(header: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Columns, the first `left` of them flush left, the others flush right; nothing is cut off.

    Two spaces stand between them, or one where that alone fits into 80 columns. Where it does
    not, names too long for the first column have a line of their own.
    """
    widths = [max(len(line[i]) for line in (header, *body)) for i in range(len(header))]
    room, gaps = COLUMNS - sum(widths), len(widths) - 1
    gap = " " if gaps <= room < 2 * gaps else "  "
    if left and room < gaps:
        widths[0] = max(2, COLUMNS - sum(widths[1:]) - len(gap) * gaps)
    lines = []
    for line in (header, *body):
        alone = len(line[0]) > widths[0] > 0
        lines += [line[0]] if alone else []
        cells = ("", *line[1:]) if alone else line
        lines.append(
            gap.join(
                cell.ljust(width) if i < left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()
        )
    return lines


def hung(label: str, text: str, indent: int = 10) -> list[str]:
    """The label, then the text from column `indent` on, in lines of at most 80 columns."""
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def folded(text: str, columns: int = COLUMNS) -> str:
    """Each line broken between words where it is longer, going on four columns further in."""
    return "\n".join(
        line
        if len(line) <= columns
        else textwrap.fill(
            line,
            columns,
            subsequent_indent=" " * (4 + len(line) - len(line.lstrip())),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


def wrapped(text: str) -> list[str]:
    """Lines of at most 80 columns, all flush left."""
    return hung("", text, 0)


def overridden(overrides: Iterable[str]) -> str:
    """("classes=10", "stem.width=32") -> classes=10 and stem.width=32.

    Fit for any text of ours: a value that is long, or has other signs, is left out.
    """
    return joined(
        text if _PLAIN.fullmatch(text) else f"{_PLAIN_KEY.match(text)[0]}=..."  # type: ignore[index]
        for text in overrides
    )


_PLAIN = re.compile(r"[A-Za-z0-9_.+\-=,:{}\[\]/ ]{1,60}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.\-\[\]]{0,60}")


def listed(numbers: Sequence[int]) -> str:
    """(0, 1, 2, 7) -> `0 to 2 and 7`: three or more in a row as a stretch; ascending."""
    stretches: list[list[int]] = []
    for number in sorted(numbers):
        if stretches and stretches[-1][-1] == number - 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    return joined(
        part
        for each in stretches
        for part in ([f"{each[0]} to {each[-1]}"] if len(each) > 2 else map(str, each))
    )


def joined(parts: Iterable[str], word: str = "and") -> str:
    """One, two and three."""
    *some, last = parts
    return f"{', '.join(some)} {word} {last}" if some else last
