"""What a device can do at most, and which of its two limits an operation meets first.

    seconds >= max(operations / FLOP/s, bytes / bytes/s)                (Williams et al. 2009)

An operation is bound by memory where its operations per byte are fewer than the device's
balance, FLOP/s over bytes/s, and by arithmetic elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost.budget import BYTES, amount
from resgen.cost.traffic import WIDTHS, Traffic
from resgen.errors import UserError
from resgen.words import joined

OPTION = "--roofline"


class Roofline(NamedTuple):
    """A device's peaks in one precision, FLOPs and bytes a second, and the images at a time."""

    flops: float
    bytes: float
    precision: str = "fp32"
    device: str = "a device"
    batch: int = 1

    @property
    def balance(self) -> float:
        """FLOPs it computes in the time of moving one byte."""
        return self.flops / self.bytes


class Bound(NamedTuple):
    """Of operations on a batch: FLOPs, bytes, the least seconds, how many there are.

    by_memory, layers_by_memory: the seconds and the number of those that memory bounds.
    """

    operations: int = 0
    bytes: int = 0
    seconds: float = 0.0
    by_memory: float = 0.0
    layers: int = 0
    layers_by_memory: int = 0

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


def bound(found: Iterable[Traffic], roof: Roofline) -> Bound:
    """Of operations one after another; each takes the longer of its two times."""
    operations = moved = layers = layers_by_memory = 0
    seconds = by_memory = 0.0
    for each in found:
        computed = each.computed(roof.batch)
        carried = each.bytes(roof.batch, WIDTHS[roof.precision])
        computing, moving = computed / roof.flops, carried / roof.bytes
        operations += computed
        moved += carried
        seconds += max(computing, moving)
        layers += each.times
        if moving > computing:
            by_memory += moving
            layers_by_memory += each.times
    return Bound(operations, moved, seconds, by_memory, layers, layers_by_memory)


def roofline(text: str, precision: str) -> Roofline:
    """The peaks of `given` in one precision. Raises UserError where it has none."""
    return given(text, (precision,)).of(precision)


def given(text: str, precisions: Sequence[str]) -> Peaks:
    """A device's peaks as they are written, `312T,2.0TB`, or from a file of `resgen bench`.

    Raises UserError for what is neither, and for a file without one of the precisions.
    """
    flops, comma, moved = text.partition(",")
    if comma and not Path(text).exists():
        most = float(amount(flops, OPTION))
        found = dict.fromkeys(precisions, most)
        return Peaks("a device", float(amount(moved, OPTION, units=BYTES)), found)
    read = peaks(Path(text))
    for precision in precisions:
        if precision not in read.flops:
            raise UserError(
                f"{OPTION} {text}: has no peak of {precision}, only of "
                f"{joined(read.flops)}: give --precision {next(iter(read.flops))}, or measure it "
                f"with resgen bench --precision {precision} --format json"
            )
    return read


class Peaks(NamedTuple):
    """A device, the bytes it moves a second, and its FLOPs a second by precision."""

    device: str
    bytes: float
    flops: dict[str, float]

    def of(self, precision: str) -> Roofline:
        """Its peaks in one precision."""
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
        and flops
        and all(map(_is_rate, flops.values()))
        and _is_rate(found.get("bytes_per_second"))
    ):
        raise UserError(f"{OPTION} {path}: its peaks are no numbers above 0; {way}")
    return Peaks(str(found.get("device", path.name)), float(found["bytes_per_second"]), flops)


EXAMPLE = "19.5T,1.5TB"


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
