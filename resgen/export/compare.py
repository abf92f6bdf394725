"""How far apart the outputs of two programs may be, and how far they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from resgen.proof import Check
from resgen.words import joined

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = {".safetensors": 0.0, ".pt2": 1e-5, ".onnx": 1e-4, "fold": 1e-4, "deepen": 1e-4}
"""Differences of fp32 outputs, in parts of the largest output."""

COUNTS = (1, 3, 8)
"""Images at a time; a program is exported with two."""


def difference(found: Tensor, wanted: Tensor) -> float:
    """max |found - wanted| / max |wanted|; infinite where shapes differ or a number is none."""
    if found.shape != wanted.shape:
        return math.inf
    apart, largest = float((found - wanted).abs().max()), float(wanted.abs().max())
    if not math.isfinite(apart) or not math.isfinite(largest):
        return math.inf
    return apart / largest if largest else apart


def reason(error: Exception) -> str:
    """The first line of what another library says went wrong."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def compared(
    form: str,
    what: str,
    found: Callable[[Tensor], Tensor],
    wanted: Callable[[Tensor], Tensor],
    images: Callable[[int], Tensor],
    counts: Sequence[int] = COUNTS,
) -> Check:
    """That a written program puts out what the module does, for each number of images."""
    import torch

    worst = 0.0
    with torch.no_grad():
        for count in counts:
            given = images(count)
            try:
                worst = max(worst, difference(found(given), wanted(given)))
            except Exception as error:
                # A program may raise anything of its runtime's.
                text = f"{what}, and fails with {count} image{'s' * (count > 1)}: {reason(error)}"
                return Check(form[1:], False, text)
    allowed = TOLERANCE[form]
    within = f"within {allowed:g} of the largest" if allowed else "equal to the last bit"
    apart = f" ({worst:.1e})" if allowed or worst else ""
    many = joined(map(str, counts)) + (" image" if counts == (1,) else " images")
    text = f"{what}, with {many}: outputs "
    return Check(form[1:], worst <= allowed, f"{text}{within}{apart}")
