"""What a device can do at most, and which of its two limits an operation meets first.

    seconds >= max(operations / FLOP/s, bytes / bytes/s)                (Williams et al. 2009)

An operation is bound by memory where its operations per byte are fewer than the device's
balance, FLOP/s over bytes/s, and by arithmetic elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost.budget import BYTES, amount
from resgen.cost.traffic import WIDTHS, Traffic
from resgen.errors import UserError

OPTION = "--roofline"


class Roofline(NamedTuple):
    """A device's peaks in one precision: FLOPs and bytes a second."""

    flops: float
    bytes: float
    precision: str = "fp32"
    device: str = ""

    @property
    def balance(self) -> float:
        """FLOPs it computes in the time of moving one byte."""
        return self.flops / self.bytes

    def times(self, each: Traffic, batch: int) -> tuple[float, float]:
        """(arithmetic's, memory's) seconds of an operation on a batch."""
        moved = each.bytes(batch, WIDTHS[self.precision])
        return each.computed(batch) / self.flops, moved / self.bytes


class Bound(NamedTuple):
    """Operations on a batch: their sums, the least seconds, and those of them memory bounds."""

    operations: int = 0
    bytes: int = 0
    seconds: float = 0.0
    by_memory: float = 0.0

    @property
    def intensity(self) -> float | None:
        """Operations per byte; of what moves nothing there are none."""
        return self.operations / self.bytes if self.bytes else None

    @property
    def by(self) -> str:
        """What bounds most of the time: memory, compute; nothing where there is none."""
        if not self.seconds:
            return ""
        return "memory" if 2 * self.by_memory > self.seconds else "compute"


def bound(found: Iterable[Traffic], batch: int, roof: Roofline) -> Bound:
    """Of operations one after another; each takes the longer of its two times."""
    operations = moved = 0
    seconds = by_memory = 0.0
    for each in found:
        computing, moving = roof.times(each, batch)
        operations += each.computed(batch)
        moved += each.bytes(batch, WIDTHS[roof.precision])
        seconds += max(computing, moving)
        by_memory += moving if moving > computing else 0.0
    return Bound(operations, moved, seconds, by_memory)


def roofline(text: str, precision: str) -> Roofline:
    """A device's peaks as they are written, `312T,2.0TB`, or from a file of `resgen bench`.

    Raises UserError for what is neither, and for a file without the precision.
    """
    flops, comma, moved = text.partition(",")
    if comma and not Path(text).exists():
        return Roofline(
            amount(flops, OPTION), amount(moved, OPTION, units=BYTES), precision, "a device"
        )
    return peaks(Path(text)).of(precision, text)


class Peaks(NamedTuple):
    """A device, the bytes it moves a second, and its FLOPs a second by precision."""

    device: str
    bytes: float
    flops: dict[str, float]

    def of(self, precision: str, where: str) -> Roofline:
        """Its peaks in one precision. Raises UserError where that was not measured."""
        if precision not in self.flops:
            raise UserError(
                f"{OPTION} {where}: has no peak of {precision}; it is measured by "
                f"resgen bench --precision {precision} --format json"
            )
        return Roofline(self.flops[precision], self.bytes, precision, self.device)


def peaks(path: Path) -> Peaks:
    """The peaks in a JSON file that `resgen bench --format json` printed. Raises UserError."""
    way = f"give a file that resgen bench --format json printed, or FLOPS,BYTES as {EXAMPLE}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{OPTION} {path}: cannot be read: {error.strerror}; {way}") from None
    except ValueError:
        raise UserError(f"{OPTION} {path}: is no JSON; {way}") from None
    found = data.get("peaks") if isinstance(data, dict) else None
    if not isinstance(found, dict):
        raise UserError(f"{OPTION} {path}: has no peaks; {way}")
    flops = found.get("flops_per_second")
    if not (
        isinstance(flops, dict)
        and all(map(_is_rate, flops.values()))
        and _is_rate(found.get("bytes_per_second"))
    ):
        raise UserError(f"{OPTION} {path}: its peaks are no numbers above 0; {way}")
    return Peaks(str(found.get("device", path.name)), float(found["bytes_per_second"]), flops)


EXAMPLE = "19.5T,1.5TB"


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
