"""A file of weights, whoever wrote it -> name -> plain tensor: the one way to read one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from resgen.errors import UserError
from resgen.tensors import archive, checkpoint, dense
from resgen.tensors.metadata import Metadata, Which, images, is_ours, parse

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


def read_judged(path: Path) -> tuple[dict[str, Tensor], Which]:
    """`read_weights`, and which of a run's weights they are."""
    found = _content(path)
    if found.metadata and found.metadata.folded:
        raise _folded(path)
    which = found.metadata.which if found.metadata else "last"
    return _checked(found.weights, path), which


def _checked(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    if not weights:
        raise UserError(f"{path}: holds no weights: a mapping of names to tensors is wanted")
    return dense.weights(weights, str(path))


class Trained(NamedTuple):
    """Weights for use, and what they are of."""

    weights: dict[str, Tensor]
    metadata: Metadata


def read_trained(path: Path) -> Trained:
    """The weights of a checkpoint or .safetensors file of ours, with their network and data.

    They are those that the run's errors were measured with. Raises UserError for any other file.
    """
    weights, metadata = read_any(path)
    if metadata is None:
        raise UserError(
            f"{path}: a file of tensors that names no network: neither a resgen checkpoint nor a "
            ".safetensors file of resgen build"
        )
    return Trained(weights, metadata)


def read_any(path: Path) -> tuple[dict[str, Tensor], Metadata | None]:
    """`read_trained` of any file of weights: None stands for a network that nothing says."""
    weights, metadata = _content(path)
    return _checked(weights, path), metadata


def network(path: Path) -> dict[str, Any]:
    """The spec of a file's network, as plain values. Raises UserError like `read_trained`."""
    words = archive.words(path) if path.is_file() else None
    if words is None:
        return checkpoint.network(path)
    if not is_ours(words):
        raise UserError(
            f"{path}: a file of tensors whose metadata name no network; give a spec, "
            f"which resgen build {path} -o net.yaml may read from them"
        )
    metadata = parse(words, path)
    if metadata.folded:
        raise _folded(path)
    return metadata.network


def _folded(path: Path) -> UserError:
    return UserError(
        f"{path}: its batch norms are folded into its convolutions, which no spec says; "
        "resgen build takes it, other commands the file it was made from"
    )


class _Content(NamedTuple):
    weights: dict[str, Tensor]
    metadata: Metadata | None


def _content(path: Path) -> _Content:
    """The tensors of a file, and its metadata where it is of ours."""
    path = checkpoint.file_of(path)
    content = archive.read(path)
    if checkpoint.is_checkpoint(content):
        state = checkpoint.checked(content, path)
        which = checkpoint.which_for_use(state)
        metadata = Metadata(state["network"], which, images(checkpoint.data_for_use(state)))
        return _Content(checkpoint.weights_for_use(state), metadata)
    if isinstance(content, Mapping) and {"state", "param_groups"} <= content.keys():
        raise UserError(f"{path}: an optimizer's state, which holds no weights")
    words = archive.words(path)
    ours = words is not None and is_ours(words)
    return _Content(_named(content), parse(words or {}, path) if ours else None)


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
