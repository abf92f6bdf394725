"""What can go wrong, and the exit code each kind of failure ends the command with.

    ResgenError
    ├── CheckFailed   1    a proof or a budget does not hold
    ├── UserError     2    bad input: a spec, a recipe, an option, a file
    ├── Diverged      3    the training loss became NaN or infinite
    └── Interrupted   130  stopped by a signal, the state saved

Only the command line catches these, prints their sentences on stderr, a line each, and
exits; everything below it raises. Whatever a sentence quotes of a user's file, it is one
line without control characters: `one_line` sees to that here, for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

LONGEST = 480
"""Characters of a sentence; what is longer loses its middle."""


def one_line(text: str) -> str:
    """The text with what is no letter, digit, sign or space written as its escape (\\n, \\x1b).

    Done twice it changes nothing more. Also for comments in files we write.
    """
    shown = "".join(c if c.isprintable() else _escape(c) for c in text)
    if len(shown) > LONGEST:
        # The start says where, the end says what to do.
        shown = f"{shown[: LONGEST // 2]} ... {shown[5 - LONGEST // 2 :]}"
    return shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


class ResgenError(Exception):
    """A failure with an exit code and a clear sentence for the user, or one for each mistake.

    lines: the sentences; its text is these, one a line.

    Examples:
        >>> from resgen import load_spec
        >>> try:
        ...     load_spec("resnet5O")
        ... except ResgenError as error:
        ...     print(error.exit_code, error)
        2 resnet5O: no such file, and no spec of this name is shipped; did you mean ...?
    """

    exit_code = 2

    def __init__(self, *sentences: str) -> None:
        self.lines = tuple(map(one_line, sentences))
        super().__init__("\n".join(self.lines))

    def __reduce__(self) -> tuple[type[ResgenError], tuple[str, ...]]:
        return type(self), self.lines


class CheckFailed(ResgenError):
    """A proof or a budget does not hold: a line for each that does not.

    Examples:
        >>> CheckFailed("resnet50: 4,089,184,256 MACs, over 4.0 G").exit_code
        1
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__(*(each for line in lines for each in line.split("\n")))


class UserError(ResgenError):
    """Bad input: each sentence says where, which rule, which value, and the way out.

    Examples:
        >>> from resgen import cost
        >>> cost({"extends": "resnet50", "name": "mine", "clases": 10})
        Traceback (most recent call last):
        resgen.errors.UserError: spec: clases: unknown key; did you mean classes?
    """

    exit_code = 2


def each(make: Callable[[_Given], _Made], inputs: Iterable[_Given]) -> list[_Made]:
    """What is made of each input; raises one UserError with the mistakes of all of them."""
    made: list[_Made] = []
    lines: dict[str, None] = {}
    for given in inputs:
        try:
            made.append(make(given))
        except UserError as error:
            lines.update(dict.fromkeys(error.lines))
    if lines:
        raise UserError(*lines)
    return made


class Diverged(ResgenError):
    """The training loss became NaN or infinite; the last good checkpoint is kept.

    Examples:
        >>> from resgen import train
        >>> train("digits/resnet20", out="run", changes=["optimizer.lr=1e30"], quiet=True)
        Traceback (most recent call last):
        resgen.errors.Diverged: resnet20: ...
    """

    exit_code = 3


class Interrupted(ResgenError):
    """A signal stopped the run after its state was saved.

    Examples:
        >>> Interrupted("SIGTERM: saved after step 12; go on with --resume").exit_code
        130
    """

    exit_code = 130
