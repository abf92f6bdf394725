"""What bounds a row, memory or arithmetic, as cells, lines and plain values."""

from __future__ import annotations

from typing import Any

from resgen.cost.roofline import Bound, Roofline, bound
from resgen.cost.traffic import Traffic, traffic_of_network
from resgen.plan import Plan
from resgen.words import hung, memory, short

HEADER = ("bytes", "FLOPs/byte", "bound")


def cells(moved: tuple[Traffic, ...], roof: Roofline) -> list[str]:
    """For people: 3.1 MiB, 57.25, memory."""
    found = bound(moved, roof)
    if not found.bytes:
        return ["-", "-", "-"]
    return [memory(found.bytes), f"{found.intensity:,.2f}", found.by]


def exact(moved: tuple[Traffic, ...], roof: Roofline) -> list[str]:
    """For CSV and Markdown: bytes as an integer, the quotient, the word."""
    found = bound(moved, roof)
    return [str(found.bytes), "" if found.intensity is None else f"{found.intensity:.6g}", found.by]


def values(moved: tuple[Traffic, ...], roof: Roofline) -> dict[str, Any]:
    """For JSON: the figures of a row, and the least seconds."""
    found = bound(moved, roof)
    return {
        "operations": found.operations,
        "bytes": found.bytes,
        "operations_per_byte": found.intensity,
        "least_seconds": found.seconds,
        "bound": found.by or None,
    }


def summary(plan: Plan, roof: Roofline) -> dict[str, Any]:
    """For JSON: the device, and the network against it."""
    found = bound(traffic_of_network(plan), roof)
    return {
        "device": roof.device,
        "precision": roof.precision,
        "batch": roof.batch,
        "flops_per_second": roof.flops,
        "bytes_per_second": roof.bytes,
        **values(traffic_of_network(plan), roof),
        "layers": found.layers,
        "layers_bound_by_memory": found.layers_by_memory,
        "share_of_time_bound_by_memory": _share(found),
    }


def lines(plan: Plan, roof: Roofline) -> list[str]:
    """The device's peaks, and how much of the network's least time memory takes."""
    found = bound(traffic_of_network(plan), roof)
    least = f"{1e3 * found.seconds:.3g} ms for a batch of {roof.batch}"
    return [
        *hung(
            "roofline",
            f"{roof.device}, {roof.precision}: {rate(roof.flops, 'FLOP/s')}, "
            f"{rate(roof.bytes, 'B/s')}, {roof.balance:,.1f} FLOPs in the time of a byte",
            11,
        ),
        *hung(
            "",
            f"{found.layers_by_memory} of {found.layers} layers and additions are bound by memory, "
            f"{_share(found):.1%} of the least time, {least}; bytes are the batch's, each layer "
            "reading all that it takes in and writing all that it puts out",
            11,
        ),
    ]


def rate(a_second: float, unit: str) -> str:
    """1.5e12 -> 1.500 TB/s."""
    return f"{short(round(a_second))}{unit}"


def _share(found: Bound) -> float:
    return found.by_memory / found.seconds if found.seconds else 0.0
