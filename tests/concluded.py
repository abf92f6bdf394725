"""`resgen` with what came of an experiment's runs told and not measured, for tests of how they run.

python -m tests.concluded experiment ...
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from resgen.experiment.model import Experiment
from resgen.experiment.outcome import Outcome, Run
from resgen.experiment.runs import Planned


def conclude(
    experiment: Experiment, name: str, scale: str, runs: Sequence[Planned], folder: Path
) -> Outcome:
    """How each run ended, and nothing more."""
    rows = []
    for each in runs:
        how = each.standing
        found = json.loads((each.folder / "result.json").read_text()) if how.over else {}
        values = {key: found[key] for key in ("train_error", "last_error") if key in found}
        rows.append(Run(each.network, each.seed, str(each.folder), each.command, how.state,
                        how.why, values))  # fmt: skip
    made = Outcome(
        name, experiment.title, experiment.claim, experiment.source, "", scale, "", "",
        "undecided", "nothing is tested here", [], [], rows, {}, {}, [], {}, [], {},
    )  # fmt: skip
    made.write(folder)
    return made


def instead() -> types.ModuleType:
    """A module with this `conclude`, in the place of the one that measures and tests."""
    module = types.ModuleType("resgen.experiment.conclusion")
    module.conclude = conclude  # type: ignore[attr-defined]
    sys.modules["resgen.experiment.conclusion"] = module
    return module


def main() -> None:
    """`resgen`, with this `conclude`."""
    from resgen.cli import main as resgen

    instead()
    sys.argv[0] = "resgen"
    resgen()


if __name__ == "__main__":
    main()
