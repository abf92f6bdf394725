"""What is to be run for an experiment: a folder and a command for each network and seed.

Runs of all experiments lie side by side, in ROOT/runs/NETWORK-HASH/seed-N, whose HASH is that of
the network, how it is trained, the data and what it begins from: a run that two experiments
need is one run.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from resgen.compare.record import result_of

COMMAND, LOG = "command.txt", "log.txt"
"""What an experiment adds to a run's folder: how it is made, and what its making printed."""
ENDED = "exit code "
"""How the last line of a log begins."""


State = Literal["finished", "diverged", "failed", "missing"]
STATES: tuple[State, ...] = ("finished", "diverged", "failed", "missing")


class Standing(NamedTuple):
    """What has become of a run, and why where it is not finished."""

    state: State
    why: str = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to run: what diverged would do so again."""
        return self.state in ("finished", "diverged")


@dataclass(frozen=True)
class Planned:
    """One run of a network with a seed."""

    network: str
    """Its name in the experiment."""
    spec: Path
    """The network written out in full."""
    seed: int
    folder: Path
    argv: tuple[str, ...]
    """`resgen train ...`, safe to repeat."""
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that come first, safe to repeat: `resgen deepen ...`."""
    after: Planned | None = None
    """The run whose trained network this one begins from."""

    @property
    def title(self) -> str:
        """`plain20 (seed 1)`."""
        return f"{self.network} (seed {self.seed})"

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """All of them, in order; what it begins from is another's."""
        return (*self.before, self.argv)

    @property
    def command(self) -> str:
        """They as one line for a shell."""
        return " && ".join(map(shlex.join, self.commands))

    @property
    def standing(self) -> Standing:
        """As its folder says it now."""
        return standing(self.folder)


def standing(folder: Path) -> Standing:
    """What has become of the run in a folder."""
    ended = result_of(folder)
    if any(isinstance(ended.get(key), int | float) for key in ("last_error", "test_error")):
        return Standing("finished")
    if ended.get("diverged"):
        return Standing("diverged", str(ended["diverged"]))
    return _unfinished(folder)


def errors(folder: Path) -> str:
    """How a finished run ended, in words."""
    found = result_of(folder)
    names = {"train_error": "training", "last_error": "held out", "test_error": "test"}
    said = [
        f"{name} {100 * found[key]:.2f} %"
        for key, name in names.items()
        if isinstance(found.get(key), int | float)
    ]
    return f"{', '.join(said)}; {found.get('seconds', 0):.0f} s"


def _unfinished(folder: Path) -> Standing:
    """Failed where its last command ended by itself, with another code than an interruption's."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    code = lines[-1].removeprefix(ENDED) if lines and lines[-1].startswith(ENDED) else ""
    if code in ("", "0", "130"):
        begun = (folder / "metrics.jsonl").is_file()
        return Standing("missing", "interrupted" if begun else "not begun")
    why = [line.removeprefix("error: ") for line in lines[:-1] if line.strip()]
    return Standing("failed", f"{ENDED}{code}: {why[-1] if why else 'it printed nothing'}")


def digest(facts: Mapping[str, Any]) -> str:
    """Eight digits that tell runs apart which differ in more than their seed."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def each_once(planned: Iterable[Planned]) -> list[Planned]:
    """One for each folder: networks of an experiment may be the same under two names."""
    first: dict[Path, Planned] = {}
    for each in planned:
        first.setdefault(each.folder, each)
    return list(first.values())


def left(planned: Iterable[Planned]) -> list[Planned]:
    """Those that have still to be run."""
    return [each for each in each_once(planned) if not each.standing.over]
