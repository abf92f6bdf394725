"""Two networks put out the same: weights copied in the order of calls, then one batch through both.

Names differ, and so do the kinds of modules; what has parameters is called in the same order,
with the same shapes, once each block's projection is put behind the rest of its block. A last
average pool as large as the image is made the mean of the image, which is the same figure with
its summands in another order: then what is put out is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resgen import Spec, build_module

PROJECTIONS = ("downsample", "identity_conv", "identity_block", "identity_branch")
Called = list[tuple[str, nn.Module]]


def difference(spec: Spec, theirs: nn.Module, dtype: torch.dtype = torch.float32) -> float:
    """The largest difference of outputs over the largest output, of the same random weights.

    Raises ValueError where the calls do not agree in number or in shapes.
    """
    ours = build_module(spec).eval().to(dtype)
    for part in (theirs.features, theirs.output):
        if isinstance(getattr(part, "final_pool", None), nn.AvgPool2d):
            part.final_pool = nn.AdaptiveAvgPool2d(1)
    randomize(theirs.to(dtype))
    size = spec.input.size
    sides = (size, size) if isinstance(size, int) else size
    images = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1)).to(dtype)
    here, _ = called(ours, images)
    there, expected = called(theirs, images)
    if len(here) != len(there):
        raise ValueError(f"{len(here)} calls for {len(there)}")
    for (name, our), (other, their) in zip(here, there, strict=True):
        copy(our, their, f"{name} for {other}")
    with torch.no_grad():
        got = ours(images)
    if not torch.isfinite(expected).all() or not expected.std() > 0:
        raise ValueError("the outputs are no figures to compare")
    return float((got - expected).abs().max() / expected.abs().max())


def randomize(network: nn.Module) -> None:
    """Random weights, statistics and biases, in evaluation, of a size that dies out nowhere."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in network.eval().state_dict().items():
            noise = torch.randn(value.shape, generator=random)
            if value.ndim > 1 and value[0].numel() > 1:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)
            elif key.endswith(("running_mean", "bias")):
                value.copy_(0.1 * noise)
            elif value.is_floating_point():
                value.copy_(0.5 + 0.5 * noise.abs())


def called(network: nn.Module, images: Tensor) -> tuple[Called, Tensor]:
    """The modules with parameters in the order of their first calls, and what is put out."""
    found: dict[str, nn.Module] = {}

    def note(module: nn.Module, _inputs: Any, _output: Any, name: str) -> None:
        found.setdefault(name, module)

    hooks = [
        module.register_forward_hook(partial(note, name=name))
        for name, module in network.named_modules()
        if parameters(module)
    ]
    with torch.no_grad():
        outputs = network(images)
    for hook in hooks:
        hook.remove()
    return list(projections_last(list(found.items()))), outputs


def projections_last(done: Called) -> Iterator[tuple[str, nn.Module]]:
    """The same calls, each block's projection behind all others of the block."""
    waiting: Called = []
    block = ""
    for name, module in done:
        if waiting and not name.startswith(block):
            yield from waiting
            waiting = []
        word = next((word for word in PROJECTIONS if f".{word}" in name), "")
        if word:
            block = name.partition(word)[0]
            waiting.append((name, module))
        else:
            yield name, module
    yield from waiting


def copy(our: nn.Module, their: nn.Module, names: str) -> None:
    """Parameters, statistics and what is added to a variance."""
    pairs = list(zip(parameters(our), parameters(their), strict=True))
    if [shape(a) for a, _ in pairs] != [shape(b) for _, b in pairs]:
        raise ValueError(f"{names}: {[tuple(a.shape) for a, _ in pairs]} for "
                         f"{[tuple(b.shape) for _, b in pairs]}")  # fmt: skip
    with torch.no_grad():
        for a, b in pairs:
            a.copy_(b.reshape(a.shape))
        for key in ("running_mean", "running_var"):
            if their._buffers.get(key) is not None:
                our._buffers[key].copy_(their._buffers[key])


def parameters(module: nn.Module) -> list[nn.Parameter]:
    """Those of the module itself, not of others in it."""
    return [p for p in module._parameters.values() if p is not None]


def shape(value: Tensor) -> list[int]:
    """Its shape, sides of 1 aside: a linear layer's weights are a 1x1 convolution's."""
    return [side for side in value.shape if side > 1]
