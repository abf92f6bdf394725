"""Run folders: refused where they hold something, unless asked to continue or replace it.

spec.yaml recipe.yaml environment.json    what was run, and with what
metrics.jsonl                             one line an epoch
last.pt previous.pt best.pt               checkpoints
result.json                               how it ended
curves.png                                the figure
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resgen.errors import UserError
from resgen.spec.writing import block_text
from resgen.tensors import checkpoint
from resgen.train.device.engine import Engine
from resgen.train.recipe import Recipe
from resgen.train.run import metrics
from resgen.train.run.network import Network
from resgen.train.run.settings import Settings

SPEC, RECIPE, ENVIRONMENT = "spec.yaml", "recipe.yaml", "environment.json"
RESULT, CURVES = "result.json", "curves.png"
_OURS = (
    SPEC, RECIPE, ENVIRONMENT, RESULT, CURVES, metrics.NAME,
    checkpoint.LAST, checkpoint.PREVIOUS, checkpoint.BEST,
)  # fmt: skip


def prepare(out: Path, settings: Settings, runs: Iterable[Path]) -> None:
    """Makes the folders of all runs ready. Raises UserError where one may not be used."""
    if settings.start == "resume" and not any(out.glob("*")):
        raise UserError(f"--out {out}: there is nothing to resume; leave --resume out")
    for folder in dict.fromkeys([out, *runs]):
        _prepare(folder, settings)


def _prepare(folder: Path, settings: Settings) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = sorted(path.name for path in folder.iterdir())
        if held and settings.start == "new":
            raise UserError(
                f"--out {folder}: not empty (it holds {held[0]}); "
                "add --resume to go on, --force to start over, or name another"
            )
        if settings.start == "force":
            for name in _OURS:
                (folder / name).unlink(missing_ok=True)
        probe = folder / ".write"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be written: {error.strerror}") from None


def write_record(folder: Path, network: Network, recipe: Recipe, record: dict[str, Any]) -> None:
    """The resolved spec, the recipe and the environment, beside the run's results."""
    # All keys are written out; what they were taken from need not lie beside the run.
    spec = {key: value for key, value in network.spec.items() if key != "extends"}
    for name, plain in ((SPEC, spec), (RECIPE, recipe.model_dump(mode="json"))):
        (folder / name).write_text(block_text(plain), encoding="utf-8")
    (folder / ENVIRONMENT).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def environment(settings: Settings, engine: Engine, processes: int) -> dict[str, Any]:
    """Versions, device, git revision, seed and command: what a rerun would need to know."""
    import torch
    import torchvision

    return {
        "command": settings.command,
        "seed": settings.seed,
        "engine": str(engine),
        "processes": processes,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,  # type: ignore[no-untyped-call]
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "git": _revision(),
    }


def _revision() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


@dataclass(frozen=True)
class Result:
    """How a run ended: errors as fractions, the test error of the last weights."""

    name: str
    train_error: float
    last_error: float
    best_error: float
    best_epoch: float
    test_error: float | None
    seconds: float


def write_result(folder: Path, result: Result) -> None:
    """result.json."""
    text = json.dumps(asdict(result), indent=2) + "\n"
    (folder / RESULT).write_text(text, encoding="utf-8")


def finished(folder: Path) -> Result | None:
    """How a run ended, if it did."""
    path = folder / RESULT
    return Result(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def command_line() -> str:
    """The command as it was typed."""
    import shlex

    return shlex.join(["resgen", *sys.argv[1:]])
