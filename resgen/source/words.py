"""Layers in words, for the docstrings of emitted classes."""

from __future__ import annotations

from collections.abc import Sequence

from resgen.plan import Layer
from resgen.plan.layers import Branches, Conv, Residual
from resgen.plan.layers.base import both

_CALLS = {
    "BatchNorm2d": "norm", "BatchNorm1d": "norm", "GroupNorm": "norm", "LayerNorm": "norm",
    "LayerNorm2d": "norm", "PixelNorm2d": "norm", "FrozenBatchNorm2d": "norm",
    "InstanceNorm2d": "instance norm",
    "InstanceBatchNorm2d": "instance and batch norm", "FilterResponseNorm2d": "norm",
    "EvoNorm2dB0": "norm and activation", "EvoNorm2dS0": "norm and activation",
    "ThresholdedLinearUnit": "threshold", "ResponseNorm": "response norm",
    "AdaptiveAvgPool2d": "mean",
    "AvgPool2d": "average pool", "MaxPool2d": "max pool", "LearnedScale": "learned scale",
    "ChannelConv": "convolution over channels", "DropPath": "drop path",
}  # fmt: skip


def sentence(layers: Sequence[Layer], value: str = "x") -> str:
    """What layers do to a value: `3x3 convolution, norm, relu (x)`, branches and units around."""
    pending: list[str] = []
    for layer in layers:
        op = layer.op
        if isinstance(op, Branches):
            inner = _applied(pending, value)
            pending = []
            paths = _same([sentence(path, "x") if path else "x" for path in op.paths])
            value = f"{_joined(op, paths)}" + (f" of {inner}" if inner != "x" else "")
        elif isinstance(op, Residual):
            inner = _applied(pending, value)
            pending = []
            value = sentence(op.main, inner)
            if op.shortcut.kind != "none":
                value += (
                    f" + {inner}" if op.shortcut.kind == "identity" else f" + shortcut({inner})"
                )
        elif word := _word(layer):
            pending.append(word)
    return _applied(pending, value)


def _applied(words: list[str], value: str) -> str:
    return f"{', '.join(words)} ({value})" if words else value


def _same(paths: list[str]) -> list[str]:
    if len(paths) > 1 and len(set(paths)) == 1:
        return [f"{len(paths)} times {paths[0]}"]
    return paths


def _joined(op: Branches, paths: list[str]) -> str:
    if op.joiner or op.join == "concat" or len(paths) < len(op.paths):
        return f"{op.join}({'; '.join(paths)})"
    return f"({(' * ' if op.join == 'product' else ' + ').join(paths)})"


def _word(layer: Layer) -> str:
    op = layer.op
    if isinstance(op, Conv):
        kernel = "x".join(map(str, both(op.kernel_size)))
        each = op.groups == op.in_channels and op.groups > 1
        return f"{kernel} depthwise convolution" if each else f"{kernel} convolution"
    call = op.torch.removeprefix("nn.")
    if call in _CALLS:
        return _CALLS[call]
    return (
        ""
        if call in ("Identity", "Flatten")
        else call
        if call[1:] != call[1:].lower()
        else call.lower()
    )
