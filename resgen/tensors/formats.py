"""A file of weights, whoever wrote it -> name -> plain tensor: the one way to read one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from resgen.errors import UserError
from resgen.tensors import archive, checkpoint, dense

# Where training programs keep the weights inside a larger checkpoint.
_HOLDERS = ("state_dict", "model_state_dict", "model")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Name -> dense float32 tensor of a .safetensors file, one of torch's, or a checkpoint.

    Of a run folder it is its last checkpoint. Of a checkpoint of ours, its format and hash
    checked, they are `checkpoint.weights_for_use`. Nothing in the file is run. Raises
    UserError for a file that cannot be read or holds no weights, and for a tensor that cannot
    be one.
    """
    return read_judged(path)[0]


def read_judged(path: Path) -> tuple[dict[str, Tensor], Literal["averaged", "last"]]:
    """`read_weights`, and which of a run's weights they are."""
    path = checkpoint.file_of(path)
    content = archive.read(path)
    which: Literal["averaged", "last"] = "last"
    if checkpoint.is_checkpoint(content):
        state = checkpoint.checked(content, path)
        tensors = checkpoint.weights_for_use(state)
        which = "last" if state["average"] is None else "averaged"
    else:
        tensors = _named(content)
    if not tensors:
        raise UserError(f"{path}: holds no weights: a mapping of names to tensors is wanted")
    return dense.weights(tensors, str(path)), which


def _named(content: Any) -> dict[str, Tensor]:
    """The named tensors of a file, in the mapping of weights if it has one."""
    for key in _HOLDERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return {
        name: value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        # torch's AveragedModel counts its averages among its weights.
        if isinstance(name, str) and isinstance(value, Tensor) and name != "n_averaged"
    }
