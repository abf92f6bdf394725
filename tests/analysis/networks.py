"""Networks small enough to be followed by hand, one of torchvision's, and weights made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from resgen.tensors import checkpoint
from tests.checkpoints import seal

TINY = """
name: small
input: {channels: 1, size: 8}
stem: {kind: conv3x3, width: 8}
block: basic
shortcut: identity
stages: [{depth: 2, width: 8}, {depth: 2, width: 16, stride: 2}]
classes: 10
"""
TORCHVISION = """
name: resnet10
input: {channels: 3, size: 32}
stem: {kind: conv7x7-pool, width: 64}
block: basic
shortcut: projection
stages:
  - {depth: 1, width: 64}
  - {depth: 1, width: 128, stride: 2}
  - {depth: 1, width: 256, stride: 2}
  - {depth: 1, width: 512, stride: 2}
classes: 10
"""


def torchvisions() -> nn.Module:
    """torchvision's network of the second spec."""
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)


def spec(folder: Path, text: str = TINY, **keys: str) -> str:
    """Writes a spec with some of its lines another, and gives its path."""
    lines = [line for line in text.splitlines() if line.partition(":")[0] not in keys]
    lines += [f"{key}: {value}" for key, value in keys.items()]
    path = folder / "net.yaml"
    path.write_text("\n".join(lines))
    return str(path)


def rewritten(run: Path, change: Callable[[str, torch.Tensor], Any]) -> Path:
    """Its last checkpoint with weights changed in place."""
    state = checkpoint.load(run / "last.pt")
    with torch.no_grad():
        for name, value in state["model"].items():
            change(name, value)
    seal(state, run / "last.pt")
    return run


def shaken(name: str, value: torch.Tensor) -> None:
    """Norms as far from 1 and 0 as training makes them."""
    if name.rpartition(".")[2] in ("weight", "bias") and value.dim() == 1:
        draw = torch.Generator().manual_seed(len(name))
        value.copy_(torch.randn(value.shape, generator=draw))
