"""What can go wrong, and the exit code each kind of failure ends the command with.

    ResgenError
    ├── CheckFailed   1    a proof or a budget does not hold
    ├── UserError     2    bad input: a spec, a recipe, an option, a file
    ├── Diverged      3    the training loss became NaN or infinite
    └── Interrupted   130  stopped by a signal, the state saved

Only the command line catches these, prints their one sentence on stderr and
exits; everything below it raises.
"""

from __future__ import annotations


class ResgenError(Exception):
    """A failure with one clear sentence for the user and an exit code."""

    exit_code = 2


class CheckFailed(ResgenError):
    """A proof or a budget does not hold."""

    exit_code = 1


class UserError(ResgenError):
    """Bad input: the sentence says where, which rule, which value, and the way out."""

    exit_code = 2


class Diverged(ResgenError):
    """The training loss became NaN or infinite; the last good checkpoint is kept."""

    exit_code = 3


class Interrupted(ResgenError):
    """A signal stopped the run after its state was saved."""

    exit_code = 130
