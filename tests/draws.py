"""What is drawn: shipped specs and recipes, design spaces and assignments, spoiled."""

from __future__ import annotations

import random
import typing
from functools import cache
from typing import Any

from pydantic import BaseModel

from resgen.spec import Spec, shipped
from resgen.spec.loading import load_document
from resgen.spec.reading import read_document
from resgen.train.recipe import Recipe
from tests.mutations import SCALARS, Mutator, Pairs, as_bytes, tree


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _models(part)
    return found


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(p for arg in typing.get_args(annotation) for p in _parts(arg))]


NUMBERS = (0, 1, 2, 3, 4, 8, 16, 24, 32, 64, 224, 1000, 10_000, 65_536, 0.1, 0.25, 0.5)


@cache
def _vocabulary(model: type[BaseModel]) -> dict[str, tuple[Any, ...]]:
    """Every key of a model and of those inside it, with what may stand there."""
    found: dict[str, set[Any]] = {}
    for each in _models(model):
        for key, field in each.model_fields.items():
            parts = _parts(field.annotation)
            for part in list(parts):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    parts += _parts(getattr(part.model_fields.get("kind"), "annotation", None))
            words = {part for part in parts if isinstance(part, str)}
            found.setdefault(key, set()).update(words or NUMBERS)
    return {key: tuple(sorted(found[key], key=repr)) for key in sorted(found)}


@cache
def _shipped(kind: str) -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
    """(as it is written, with what it extends) of each shipped text."""
    paths = [shipped.find(kind, name) for name in shipped.names(kind)]
    return tuple(
        (read_document(path).data, load_document(path).data if kind == "spec" else {})
        for path in paths
    )


def _root(kind: str, chance: random.Random) -> Pairs:
    written, whole = chance.choice(_shipped(kind))
    if not whole or chance.random() < 0.3:
        return tree(written)
    whole = {key: value for key, value in whole.items() if key not in ("extends", "depth")}
    return tree(_small(whole, chance.choice((8, 16, 32))) if chance.random() < 0.7 else whole)


def _small(value: Any, factor: int, key: str = "") -> Any:
    """The same network, narrow, shallow and for a small image, to be built."""
    if isinstance(value, dict):
        return {name: _small(inner, factor, name) for name, inner in value.items()}
    if isinstance(value, list) and key != "size":
        return [_small(inner, factor, "") for inner in value]
    if isinstance(value, int):
        small = {"depth": min(value, 2), "size": factor, "classes": 3, "w0": 8}
        return small.get(key, max(1, value // factor) if value > 7 else value)
    return factor if key == "size" else value


def drawn(kind: str, seed: int, number: int) -> bytes:
    """The input of a draw: a file's bytes, or an assignment's."""
    chance = random.Random(f"{kind}:{seed}:{number}")
    model: type[BaseModel] = Recipe if kind in ("recipe", "set") else Spec
    words = _vocabulary(model)
    mutator = Mutator(chance, words, tuple(model.model_fields))
    if kind in ("set", "with"):
        return _assignment(mutator, chance, words, SETTABLE if kind == "set" else OVER_A_SPEC)
    root = _root("recipe" if kind == "recipe" else "spec", chance)
    if kind == "space":
        for _ in range(chance.choice((1, 2, 3))):
            mutator.choose(root)
        if chance.random() < 0.3:
            return as_bytes(root)
    return mutator.spoiled(root)


SETTABLE = (
    "optimizer.lr", "optimizer.kind", "optimizer.betas[1]", "batch", "length", "accumulate",
    "schedule.milestones[0]", "schedule.warmup", "schedule.kind", "augment.size", "augment.flip",
    "loss.kind", "clip", "ema.decay",
)  # fmt: skip


OVER_A_SPEC = (
    "classes", "input.size", "input.size[0]", "stages[0].width", "stages[-1].depth", "name",
    "stages[1].block", "shortcut", "shortcut.kind", "shortcut.scale", "attention", "norm.kind",
    "attention.ratio", "norm.groups", "stem.kind", "stem.width", "regnet.depth", "regnet.wm",
    "define.mbconv[0].conv", "define.mbconv.with.ratio", "head.dropout", "drop_path", "mid_width",
    "drop_path.rate", "stages[0].first.stride_at", "stages[0].blocks[1].width", "language",
)  # fmt: skip


def _assignment(
    mutator: Mutator,
    chance: random.Random,
    words: dict[str, tuple[Any, ...]],
    paths: tuple[str, ...],
) -> bytes:
    path = chance.choice(paths)
    key = path.partition("[")[0].rpartition(".")[2]
    value = str(chance.choice((*words.get(key, NUMBERS), "5 epochs", "10 %")))
    if chance.random() < 0.3:
        path = ".".join(chance.choices(list(words), k=chance.choice((1, 2, 2, 3))))
        path += chance.choice(("", "[0]", "[1]", "[9]", "[\u00b2]", ".", "..", "[", "\0", "\x1b"))
    if chance.random() < 0.4:
        value = chance.choice(SCALARS)
    text = path + chance.choice(("=",) * 9 + ("", "==", "= ")) + value
    return mutator.broken(text) if chance.random() < 0.2 else text.encode(errors="replace")
