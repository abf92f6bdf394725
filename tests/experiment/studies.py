"""Experiments written by hand, with run folders as they stand after training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resgen.experiment.model import Experiment
from resgen.experiment.runs import Planned
from tests.compare.folders import DATA, write_run
from tests.training import TINY

RATES = {
    "rate": 0.1, "train_loss": 1.0, "heldout_loss": 1.0, "images_per_second": 1.0,
    "data_wait": 0.0, "seconds": 1.0,
}  # fmt: skip


def experiment(*expect: dict[str, Any], seeds: int = 3, **keys: Any) -> Experiment:
    """Of the networks `deep` and `shallow`, on a scale `small` and one `large` without `deep`."""
    networks = {"deep": "digits/plain56", "shallow": "digits/plain20"}
    scale = {"data": "digits", "recipe": "digits", "seeds": seeds, "networks": networks}
    return Experiment.model_validate(
        {
            "title": "Depth", "claim": "Deep is worse.", "source": "nobody",
            "expect": list(expect) or [of("train_error", "deep", "above", "shallow")],
            "scales": {
                "small": scale,
                "large": {**scale, "networks": {"shallow": "digits/plain20"}},
            },
            **keys,
        }
    )  # fmt: skip


def of(measure: str, network: str, relation: str, than: str, **more: Any) -> dict[str, Any]:
    """An expectation's keys."""
    return {"measure": measure, "of": network, "is": relation, "than": than, **more}


def planned(root: Path, network: str, seed: int, *, after: Planned | None = None) -> Planned:
    """A run that is still to be made, and the file of its spec."""
    spec = root / "specs" / f"{network}.yaml"
    if not spec.exists():
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(TINY.format(name=network, classes=10))
    folder = root / "runs" / network / f"seed-{seed}"
    argv = ("resgen", "train", str(spec), "--seed", str(seed), "--out", str(folder))
    return Planned(network, spec, seed, folder, argv, after=after)


def ended(root: Path, network: str, seed: int, errors: list[float], **more: Any) -> Planned:
    """A finished run whose training errors these were, epoch by epoch of ten steps."""
    run = planned(root, network, seed)
    write_run(run.folder, seed, errors[-1], name=network, **more)
    write_rows(run.folder, errors)
    result = json.loads((run.folder / "result.json").read_text())
    (run.folder / "result.json").write_text(json.dumps({**result, "train_error": errors[-1]}))
    return run


def write_rows(folder: Path, errors: list[float]) -> None:
    """metrics.jsonl with these training errors; those held out are a hundredth higher."""
    rows = [
        {"epoch": n, "step": 10 * n, "train_error": e, "heldout_error": e + 0.01, **RATES}
        for n, e in enumerate(errors, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def diverged(root: Path, network: str, seed: int) -> Planned:
    """A run that ended with a loss that was no number."""
    run = planned(root, network, seed)
    write_run(run.folder, seed, None, name=network)
    why = {"diverged": "the loss became NaN at step 20", "data": DATA, "seed": seed}
    (run.folder / "result.json").write_text(json.dumps(why))
    return run
