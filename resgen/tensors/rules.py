"""What each key of a checkpoint holds; one that was written by a run keeps all of these."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from resgen.tensors.dense import fault as weight_fault
from resgen.tensors.dense import indirect, shown


class Rule(NamedTuple):
    """A value must be `words`, and is where `holds` says so; an error of `holds` is a no."""

    words: str
    holds: Callable[[Any], bool]


def _whole(least: int) -> Rule:
    return Rule(
        f"a whole number from {least} on",
        lambda value: type(value) is int and least <= value < 2**63,
    )


def _number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def _plain(value: Any) -> bool:
    """Mappings, lists, words and numbers only."""
    if isinstance(value, dict):
        return all(type(key) is str and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _sums(value: Any) -> bool:
    """Three or four numbers, or as many for each process."""
    if (
        indirect(value)
        or value.shape[-1:] not in ((3,), (4,))
        or value.dim() > 2
        or not value.is_floating_point()
    ):
        return False
    return bool(torch.isfinite(value).all()) and bool(value.min() >= 0)


def _weights(value: Any) -> bool:
    return type(value) is not str and all(
        type(name) is str and weight_fault(name, each) is None for name, each in value.items()
    )


def _average(value: Any) -> bool:
    if value is None:
        return True
    count = value["n_averaged"]
    inner = {name: each for name, each in value.items() if name != "n_averaged"}
    whole = count.numel() == 1 and count.dtype == torch.int64 and int(count) >= 0
    return whole and all(name.startswith("module.") for name in inner) and _weights(inner)


def _optimizer(value: Any) -> bool:
    return (
        value.keys() == {"state", "param_groups"}
        and isinstance(value["param_groups"], list)
        and all(
            type(number) is int
            and all(
                each is None or _number(each) or (indirect(each) is None and _finite(each))
                for each in kept.values()
            )
            for number, kept in value["state"].items()
        )
    )


def _finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _judged(value: Any) -> bool:
    crop = value["crop"]
    return (
        type(value["data"]) is str
        and (crop is None or (type(crop) is float and 0 < crop <= 1))
        and value.get("interpolation", "bilinear") in ("bilinear", "bicubic")
        and value.get("small", "cropped") in ("whole", "cropped")
        and value["precision"] in ("bf16", "fp16", "fp32")
    )


def _scaling(value: Any) -> bool:
    return value is None or (
        value.keys() == {"scale", "steady", "skipped"}
        and type(value["scale"]) is float
        and 0 < value["scale"] < inf
        and all(_whole(0).holds(value[key]) for key in ("steady", "skipped"))
    )


def _packed(value: Any) -> bool:
    return value is None or (
        indirect(value) is None and value.dtype == torch.uint8 and value.dim() == 1
    )


# A generator's state is one that such a generator takes.


def _python(value: Any) -> bool:
    version, words, gauss = value
    random.Random().setstate((version, tuple(words), gauss))
    return True


def _numpy(value: Any) -> bool:
    # NumPy takes any place and reads beyond its words there.
    place = value["state"]["pos"]
    if value["bit_generator"] != "MT19937" or type(place) is not int or not 0 <= place <= 624:
        return False
    key = np.array(value["state"]["key"], np.uint32)
    np.random.RandomState().set_state({**value, "state": {**value["state"], "key": key}})
    return True


def _torch(value: Any) -> bool:
    torch.Generator().set_state(value)
    return True


def _cuda(value: Any) -> bool:
    return value is None or (
        indirect(value) is None and value.dtype == torch.uint8 and value.shape == (16,)
    )


_SUMS = "the three sums of an epoch, or four with top-5 errors"

_MAPPING = Rule(
    "a mapping of plain values", lambda value: isinstance(value, dict) and _plain(value)
)

RULES = {
    "name": Rule("a word", lambda value: type(value) is str),
    "network": _MAPPING,
    "recipe": _MAPPING,
    "recipe.accumulate": _whole(1),
    "data": _MAPPING,
    "files": Rule("packed names of files, or nothing", _packed),
    "judged": Rule("where its images lie and how they are judged", _judged),
    "seed": _whole(0),
    "step": _whole(0),
    "total": _whole(1),
    "warm": Rule("true or false", lambda value: type(value) is bool),
    "best": Rule(
        "a pair of an error and the step it was measured at",
        lambda value: len(value) == 2 and _number(value[0]) and _whole(0).holds(value[1]),
    ),
    "count": Rule(_SUMS, _sums),
    "window": Rule(_SUMS, lambda value: _sums(value) and value.dim() == 1),
    "clock": Rule("a pair of seconds", lambda value: len(value) == 2 and all(map(_number, value))),
    "model": Rule("a mapping of names to finite tensors", _weights),
    "average": Rule("what torch's AveragedModel keeps, or nothing", _average),
    "scaling": Rule("fp16's scale and the steps left out, or nothing", _scaling),
    "optimizer": Rule("the state of an optimizer of torch's", _optimizer),
    "random": Rule("a mapping of states", lambda value: isinstance(value, dict)),
    "random.python": Rule("a state of Python's generator", _python),
    "random.numpy": Rule("a state of NumPy's generator", _numpy),
    "random.torch": Rule("a state of torch's generator", _torch),
    "random.cuda": Rule("a state of CUDA's generator, or nothing", _cuda),
}
"""Dotted keys lie in the mapping of the key before."""

_LATER = {"files", "judged", "scaling"}
"""Keys that the first checkpoints of this format had not."""


def fault(state: Mapping[str, Any]) -> str | None:
    """The first thing wrong with the keys of a checkpoint, in a sentence, or None."""
    for key, rule in RULES.items():
        holder, _, last = key.rpartition(".")
        held = state[holder] if holder else state
        if last not in held:
            if key in _LATER:
                continue
            return f"it has no {key}"
        if not _holds(rule, held[last]):
            return f"its {key} must be {rule.words} (it is {_value(held[last])})"
    if state["step"] > state["total"]:
        return f"its step is {state['step']:,} of {state['total']:,}"
    if state["best"][1] > state["step"]:
        return f"its best is of step {state['best'][1]:,}, after its step {state['step']:,}"
    return None


def _holds(rule: Rule, value: Any) -> bool:
    try:
        return rule.holds(value)
    except Exception:
        return False


def _value(value: Any) -> str:
    """What was found in place of what a rule wants: the first bad tensor, or the value."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if type(name) is str and isinstance(each, Tensor) and (why := weight_fault(name, each)):
                return f"a mapping in which {shown(name)} {why}"
        return "a mapping"
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}, {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return shown(repr(value))
