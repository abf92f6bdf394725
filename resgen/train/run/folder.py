"""The files of a run folder, and what is written into them.

spec.yaml recipe.yaml environment.json    what was run, and with what
metrics.jsonl                             one line an epoch
last.pt previous.pt best.pt               checkpoints
result.json                               how it ended
curves.png                                the figure
.lock                                     the process that writes there, while it does

Each file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from resgen.files import write_whole
from resgen.report.points import RESULT
from resgen.spec.loading import RUN_SPEC
from resgen.spec.writing import block_text
from resgen.tensors import checkpoint
from resgen.train.recipe.defaults import RUN_RECIPE
from resgen.train.run import metrics
from resgen.train.run.setup import Setup
from resgen.version import __version__

SPEC, RECIPE, ENVIRONMENT = RUN_SPEC, RUN_RECIPE, "environment.json"
CURVES = "curves.png"
OURS = (
    SPEC, RECIPE, ENVIRONMENT, RESULT, CURVES, metrics.NAME,
    checkpoint.LAST, checkpoint.PREVIOUS, checkpoint.BEST,
)  # fmt: skip


def write_record(setup: Setup, step: int) -> None:
    """The resolved spec, the recipe and the environment, beside the run's results.

    The environment of a run that was resumed is a list: one entry for each time it was started.
    """
    folder, recipe = setup.folder, setup.recipe.model_dump(mode="json")
    for name, plain in ((SPEC, setup.network.spec), (RECIPE, recipe)):
        write_whole(folder / name, block_text(plain))
    (folder / RESULT).unlink(missing_ok=True)  # of a run that had diverged, and goes on
    records = [*_environments(folder / ENVIRONMENT), environment(setup, step)]
    write_whole(folder / ENVIRONMENT, json.dumps(records, indent=2) + "\n")


def _environments(path: Path) -> list[Any]:
    """The entries that are there; none of a file that is damaged, which nothing depends on."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else [found]


def environment(setup: Setup, step: int) -> dict[str, Any]:
    """Versions, device, git revision, seed and command: what a rerun would need to know.

    `step` is the one that the run starts or goes on at.
    """
    import torch
    import torchvision

    settings = setup.settings
    return {
        "started": datetime.now().astimezone().isoformat(" ", "seconds"),
        "step": step,
        "command": settings.command,
        "with": list(settings.overrides),
        "seed": settings.seed,
        "engine": str(setup.engine),
        "processes": setup.world.size,
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
    """How a run ended: errors as fractions, the test error of the last weights.

    Examples:
        >>> from resgen import train
        >>> ends = train("digits/plain20", out="runs", changes=["length=1 epochs"], quiet=True)
        >>> ends[0].best_epoch, ends[0].test_error
        (1.0, None)
    """

    name: str
    train_error: float
    last_error: float
    best_error: float
    best_epoch: float
    test_error: float | None
    seconds: float
    # Of more than ten classes, in runs that counted them.
    train_top5_error: float | None = None
    last_top5_error: float | None = None
    best_top5_error: float | None = None
    test_top5_error: float | None = None
    seed: int = 0

    def plain(self) -> dict[str, Any]:
        """What is in result.json: no word of top-5 errors where there are none."""
        every = asdict(self)
        return {key: every[key] for key in every if "top5" not in key or every[key] is not None}


def write_result(setup: Setup, result: Result) -> None:
    """result.json: how a run ended, and what it was a run of."""
    _write_end(setup, result.plain())


def write_diverged(setup: Setup, why: str) -> None:
    """The same of a run that diverged; `--resume` does not take it for an end."""
    _write_end(setup, {"name": setup.network.name, "diverged": why})


def _write_end(setup: Setup, end: dict[str, Any]) -> None:
    data, settings = setup.data, setup.settings
    test = None if data.test is None else len(data.test)
    said = {
        "resgen": __version__,
        "seed": settings.seed,
        "params": setup.network.params,
        "macs": setup.network.macs,
        "epochs": setup.rate.total / setup.order.steps,
        "data": {
            "name": data.name, "classes": len(data.classes),
            "train": len(data.train), "heldout": len(data.heldout), "test": test,
        },
        "recipe": setup.recipe.model_dump(mode="json"),
        "init_from": None if settings.init_from is None else str(settings.init_from),
        "head": settings.head,
        "normalize": settings.normalize,
        "device": setup.engine.device.type,
        "precision": setup.engine.precision,
    }  # fmt: skip
    write_whole(setup.folder / RESULT, json.dumps({**end, **said}, indent=2) + "\n")


def finished(folder: Path, seed: int) -> Result | None:
    """How a run ended, if it did; None of a damaged file too, which is then made anew.

    `seed` is the run's, which the first files of this name do not say.
    """
    try:
        found = {**json.loads((folder / RESULT).read_text(encoding="utf-8")), "seed": seed}
        keys = [field.name for field in fields(Result)]
        result = Result(**{key: found[key] for key in keys if key in found})
        numbers = [value for name, value in asdict(result).items() if name != "name"]
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None
    return result if all(isinstance(each, float | int | None) for each in numbers) else None
