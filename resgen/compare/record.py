"""A run folder -> what the run was, and how it ended.

result.json says it; of earlier versions' runs, and of those that have not ended, it is put
together from the folder's other files, and what none of them says is None.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from resgen.errors import UserError
from resgen.report.points import RESULT
from resgen.spec import load_spec
from resgen.spec.loading import RUN_SPEC, resolved_data, runs_in
from resgen.spec.reading import read_document
from resgen.train.data.facts import titled
from resgen.train.recipe import Recipe, read_recipe
from resgen.train.run import metrics

State = Literal["finished", "diverged", "unfinished"]
MEASURES = {
    "train_error": "training",
    "last_error": "held out",
    "best_error": "best held out",
    "test_error": "test",
}
"""Of a finished run, errors as fractions, with what they are called."""
_TAKEN = (("head", "auto"), ("normalize", "weights"))
"""How `--init-from` is taken, and the defaults of it."""


@dataclass(frozen=True)
class Record:
    """One run."""

    folder: Path
    name: str
    spec: Mapping[str, Any] = field(repr=False)
    recipe: Mapping[str, Any] | None = field(repr=False)
    seed: int | None
    data: Mapping[str, Any] | None
    """Its name, and where they are known its numbers of classes and images."""
    place: Mapping[str, Any]
    """What it started from, device and precision, as far as they are known."""
    state: State
    why: str
    """How far it came, of a run that did not finish; why it diverged."""
    errors: Mapping[str, float]
    """By the names of MEASURES."""
    best_epoch: float | None
    rows: tuple[metrics.Row, ...] = field(repr=False)

    @property
    def facts(self) -> dict[str, Any]:
        """What makes it another run than one of another seed."""
        recipe = None if self.recipe is None else {**self.recipe, "description": None}
        return {"": dict(self.spec), "recipe": recipe, "data": self.data, **self.place}


def networks(sources: Sequence[str]) -> list[tuple[str, list[Path]]]:
    """(what to load the spec from, its runs) of each network; a spec alone has no runs.

    A folder of several runs stands for each of them; runs of one spec are together.
    """
    found: list[tuple[str, list[Path]]] = []
    texts: dict[bytes, list[Path]] = {}
    for source in sources:
        folders = runs_in(Path(source))
        if not folders:
            found.append((source, []))
        for folder in folders:
            text = (folder / RUN_SPEC).read_bytes()
            if text not in texts:
                texts[text] = []
                found.append((str(folder), texts[text]))
            if folder not in texts[text]:
                texts[text].append(folder)
    return found


def read(folder: Path) -> Record:
    """The run of a folder. Raises UserError for a folder of no run, and for damaged files."""
    spec = load_spec(folder)
    result, environment = result_of(folder), _environment(folder)
    diverged = result.get("diverged")
    errors = {key: float(result[key]) for key in MEASURES if _is_number(result.get(key))}
    finished = "last_error" in errors or "test_error" in errors
    rows = tuple(metrics.read(folder))
    state: State = "finished" if finished else "diverged" if diverged else "unfinished"
    why = ""
    if state == "diverged":
        why = str(diverged)
    elif state == "unfinished":
        why = f"after epoch {rows[-1]['epoch']:g}" if rows else "in its first epoch"
    seed = result.get("seed", environment.get("seed"))
    best = result.get("best_epoch")
    return Record(
        folder, spec.name, resolved_data(spec), _recipe(folder),
        seed if type(seed) is int else None, _data(result, environment),
        _place(result, environment), state, why, errors if finished else {},
        best if isinstance(best, int | float) else None, rows,
    )  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(path: Path) -> Any:
    """What a file holds; None where it is not there or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def result_of(folder: Path) -> dict[str, Any]:
    """What result.json says; nothing where it is not there or damaged."""
    found = _json(folder / RESULT)
    return found if isinstance(found, dict) else {}


def _environment(folder: Path) -> dict[str, Any]:
    """The entry of the run's first start."""
    found = _json(folder / "environment.json")
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else {}


def _recipe(folder: Path) -> dict[str, Any] | None:
    """With the defaults of today where it is one of today's; else as it is written."""
    path = folder / "recipe.yaml"
    if not path.is_file():
        return None
    try:
        return read_recipe(str(path)).model_dump(mode="json")
    except UserError:
        pass
    try:
        written: dict[str, Any] = read_document(path, what="recipe").data
    except UserError:
        return None
    known = {name: each.default for name, each in Recipe.model_fields.items()}
    plain = {key: value for key, value in known.items() if value is None}
    return {**plain, **written}


def _data(result: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any] | None:
    found = result.get("data")
    if isinstance(found, dict):
        return found
    typed = _typed(environment, "--data", "digits")
    if typed is None:
        return None
    try:
        return {"name": titled(typed)}
    except UserError:
        return None


def _place(result: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """What it started from, and how that was taken; device and precision."""
    engine = environment.get("engine")
    device = precision = None
    # `cuda:0 (NVIDIA H100), bf16, channels_last, compiled`
    if isinstance(engine, str) and ")" in engine:
        device = engine.partition(" ")[0].partition(":")[0]
        precision = engine.rpartition("), ")[2].partition(",")[0]
    weights = result.get("init_from", _typed(environment, "--init-from", "")) or "drawn"
    taken = {key: result.get(key, _typed(environment, f"--{key}", plain)) for key, plain in _TAKEN}
    others = [f"--{key} {taken[key]}" for key, plain in _TAKEN if taken[key] not in (plain, None)]
    return {
        "weights": weights if weights == "drawn" else ", ".join([weights, *others]),
        "device": result.get("device", device),
        "precision": result.get("precision", precision),
    }


def _typed(environment: Mapping[str, Any], option: str, default: str) -> str | None:
    """The value of an option in the command that was run; None where the command is not known."""
    command = environment.get("command")
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = []
    found = default if words else None
    for word, value in zip(words, [*words, ""][1:], strict=True):
        if word == option:
            found = value
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found
