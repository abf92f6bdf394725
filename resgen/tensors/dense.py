"""What a tensor of a file must be to be a weight: dense, on the CPU, floating, finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resgen.errors import UserError

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_COUNTER, _VARIANCE = "num_batches_tracked", "running_var"


def weights(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors as float32, batch norm's counters as whole numbers.

    Raises UserError for the first that cannot be a weight: where, its name, what is wrong, the
    way out.
    """
    plain = {}
    for name, value in tensors.items():
        reason = fault(name, value)
        if reason is not None:
            raise UserError(f"{where}: {shown(name)} {reason}")
        kind = torch.int64 if name.endswith(_COUNTER) else torch.float32
        plain[name] = value.detach().to(kind)
    return plain


def fault(name: str, value: Any) -> str | None:
    """Why this cannot be a weight of this name, or None where it can."""
    if reason := indirect(value):
        return reason
    if name.endswith(_COUNTER):
        whole = value.numel() == 1 and not value.is_complex() and float(value) % 1 == 0
        return None if whole and value.item() >= 0 else "must be a whole number from 0 on"
    if value.dtype not in _FLOATS:
        return (
            f"is of {value.dtype}, and weights are floating-point numbers; "
            "if its numbers are the weights, save it with .float()"
        )
    # What is infinite in float32, in which networks are held, is so for us.
    bad = int((~torch.isfinite(value.detach().float())).sum())
    if bad:
        return (
            f"is NaN or infinite in {bad:,} of its {value.numel():,} values; "
            "take a file from before that"
        )
    if name.endswith(_VARIANCE) and value.numel() and float(value.min()) < 0:
        return f"is a variance and has negative values, the least {float(value.min()):.4g}"
    return None


def indirect(value: Any) -> str | None:
    """Why this is not a tensor whose values all lie in memory one by one, or None."""
    if type(value) not in (Tensor, nn.Parameter):
        return f"is no tensor but a {type(value).__name__}"
    if value.device.type == "meta":
        return "is on torch's meta device: it has a shape and no values"
    if value.is_quantized:
        return "is quantized; save it with .dequantize()"
    if value.is_nested or value.layout != torch.strided:
        return "is not dense; save it with .to_dense()"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"says it has {value.numel():,} values and repeats fewer; save it with .clone()"
    return None


def shown(name: str) -> str:
    """A name of a file on one line and not too long."""
    text = name if name.isprintable() else repr(name)
    return text if len(text) <= 100 else f"{text[:97]}..."
