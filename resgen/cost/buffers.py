"""A layer -> what it keeps or computes with and does not train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resgen.plan import layers as L
from resgen.plan.layers import Op

# Running means and variances, a frozen norm's own scale and shift.
_STATE: dict[type, Callable[[Any], dict[str, int]]] = {
    L.BatchNorm: lambda op: dict.fromkeys(("running_mean", "running_var"), op.num_features),
    L.FrozenBatchNorm: lambda op: dict.fromkeys(
        ("weight", "bias", "running_mean", "running_var"), op.num_features
    ),
    L.EvoNormB0: lambda op: {"running_var": op.num_features},
}


def state_of(op: Op) -> dict[str, int]:
    """Name -> elements of each buffer in the state dict, but for norms' counters."""
    return {
        name: size
        for kind, sizes in _STATE.items()
        if isinstance(op, kind)
        for name, size in sizes(op).items()
    }


def buffers(op: Op) -> int:
    """Elements a layer computes with that are not trained, a blur pool's filter included."""
    filters = 9 * op.channels if isinstance(op, L.BlurPool) else 0
    return sum(state_of(op).values()) + filters
