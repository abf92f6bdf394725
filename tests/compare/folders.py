"""Run folders written by hand, as this version or an earlier one leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resgen.spec.writing import block_text
from tests.training import TINY, recipe

DATA = {"name": "digits", "classes": 10, "train": 1437, "heldout": 360, "test": None}


def write_run(
    folder: Path, seed: int | None, last: float | None, *, name: str = "tiny", more: str = "",
    changes: dict[str, Any] | None = None, test: float | None = None, **result: Any,
) -> Path:  # fmt: skip
    """A run that ended with these errors; unfinished where `last` is None."""
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(TINY.format(name=name, classes=10) + more)
    plain = recipe(**(changes or {})).model_dump(mode="json")
    (folder / "recipe.yaml").write_text(block_text(plain))
    (folder / "environment.json").write_text(
        json.dumps(
            [
                {
                    "seed": seed,
                    "command": "resgen train tiny.yaml",
                    "engine": "cpu (1 threads), fp32, x",
                }
            ]
        )
    )
    epochs = [1, 2] if last is not None else [1]
    row = {
        "rate": 0.1, "train_loss": 1.0, "heldout_loss": 1.0, "images_per_second": 1.0,
        "data_wait": 0.0, "seconds": 1.0,
    }  # fmt: skip
    (folder / "metrics.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "epoch": e,
                    "step": 11 * e,
                    "train_error": 0.5 / e,
                    "heldout_error": (last or 0.6) / e,
                    **row,
                }
            )
            + "\n"
            for e in epochs
        )
    )
    if last is not None:
        end = {
            "name": name, "train_error": last / 2, "last_error": last, "best_error": 0.9 * last,
            "best_epoch": 2.0, "test_error": test, "seconds": 1.0, "seed": seed, "data": DATA,
            "init_from": None, "device": "cpu", "precision": "fp32",
        }  # fmt: skip
        (folder / "result.json").write_text(json.dumps({**end, **result}))
    return folder


def as_before(folder: Path, command: str = "resgen train tiny.yaml") -> Path:
    """The same as the first versions left it: result.json says the errors alone."""
    path = folder / "result.json"
    found = json.loads(path.read_text())
    new = ("seed", "data", "init_from", "device", "precision")
    path.write_text(json.dumps({key: value for key, value in found.items() if key not in new}))
    place = folder / "environment.json"
    (entry,) = json.loads(place.read_text())
    place.write_text(json.dumps({**entry, "command": command}))
    return folder
