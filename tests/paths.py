"""Random paths: nested branches, slices, joins, groups, strides, definitions in definitions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Row = Any
Path = list[Row]

KERNELS = (1, 3, 5, [1, 3], [3, 1])


@st.composite
def rows(draw: st.DrawFn, *, depth: int = 2, definitions: tuple[str, ...] = ()) -> Path:
    """A path that keeps the image's size, and leaves any width behind."""
    found: Path = []
    for _ in range(draw(st.integers(1, 4))):
        kinds = ["conv", "norm", "act", "pool", "scale", "shuffle", "attention"]
        kinds += ["branches", "gate"] if depth else []
        kinds += ["use"] if definitions else []
        found += draw(_row(draw(st.sampled_from(kinds)), depth, definitions))
    return found


@st.composite
def _row(draw: st.DrawFn, kind: str, depth: int, definitions: tuple[str, ...]) -> Path:
    if kind == "conv":
        return [draw(convolutions())]
    if kind == "norm":
        return [draw(st.sampled_from(["norm", {"norm": "layer"}, {"norm": "response"}]))]
    if kind == "act":
        return [
            draw(st.sampled_from(["act", {"act": "sigmoid"}, {"act": "gelu"}, {"act": "relu6"}]))
        ]
    if kind == "pool":
        pool = draw(st.sampled_from(["max-pool", "avg-pool"]))
        return [{pool: 3, "stride": 1}]
    if kind == "scale":
        return [draw(st.sampled_from([
            {"scale": 0.5}, {"scale": 1e-2, "per": "channel"},
            {"scale": 1.0, "per": "all", "bias": True}, {"dropout": 0.2},
        ]))]  # fmt: skip
    if kind == "shuffle":
        return [{"shuffle": 2}]
    if kind == "attention":
        return [draw(st.sampled_from([
            {"squeeze-excitation": "here / 4", "round": [1, "down"], "bias": False},
            {"squeeze-excitation": 2, "activation": "silu", "gate": "hardsigmoid"},
            {"channel-attention": "here / 8", "round": "up"}, {"spatial-attention": 3},
            {"global-context": 4}, {"global-context": 4, "fuse": "scale", "activation": "gelu"},
        ]))]  # fmt: skip
    if kind == "use":
        name = draw(st.sampled_from(definitions))
        times = draw(st.sampled_from([None, None, 2]))
        return [{name: None, "times": times} if times else name]
    if kind == "gate":
        squeezed = {"conv": 1, "width": "branch / 4", "bias": True}
        opened = {"conv": 1, "width": "4 * here", "bias": True}
        gate = ["global-pool", squeezed, "act", opened, {"act": "sigmoid"}]
        return [{"branches": [[], gate], "join": "product"}]
    return draw(branches(depth, definitions))


@st.composite
def convolutions(draw: st.DrawFn) -> Row:
    """A convolution of 8, 16 or 24 channels, or of as many as there are."""
    row: dict[str, Any] = {"conv": draw(st.sampled_from(KERNELS))}
    width = draw(st.sampled_from([None, 8, 16, 24, "out", "2 * here"]))
    if width:
        row["width"] = width
    groups = draw(st.sampled_from([None, None, 2, 4, "depthwise"]))
    if groups:
        row["groups"] = groups
    if draw(st.booleans()):
        row["bias"] = draw(st.booleans())
    if isinstance(row["conv"], int) and draw(st.integers(0, 3)) == 0:
        row["dilation"] = 2
    if row["conv"] in (3, 5) and draw(st.integers(0, 4)) == 0:
        row["padding"] = "same"
    return row


@st.composite
def branches(draw: st.DrawFn, depth: int, definitions: tuple[str, ...]) -> Path:
    """Branches that meet: each ends in a convolution where the join needs equal widths."""
    join = draw(st.sampled_from(["sum", "concat", "product", "shake", "select"]))
    carry = draw(st.sampled_from(["none", "none", "chain"]))
    take = "all" if carry == "chain" else draw(st.sampled_from(["all", "all", "slices"]))
    end = {"conv": 1, "width": 16}
    inner = rows(depth=depth - 1, definitions=definitions)
    if draw(st.integers(0, 2)) == 0:
        path = [*draw(inner), end]
        row = {"branches": path, "times": draw(st.integers(2, 3)), "join": join, "take": take}
    else:
        count = draw(st.integers(2, 3))
        paths = [[*draw(inner), end] for _ in range(count)]
        if join == "concat":
            paths[draw(st.integers(0, count - 1))] = []
        row = {"branches": paths, "join": join, "take": take, "carry": carry}
    return [{"conv": 1, "width": 24}, row]


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """A small network whose block is a random path, sometimes with several additions."""
    define: dict[str, Any] = {}
    for name in draw(st.sampled_from([(), ("inner",), ("inner", "outer")])):
        define[name] = [*draw(rows(depth=1, definitions=tuple(define))), {"conv": 1, "width": 8}]
    names = tuple(define)
    block: Path = []
    for _ in range(draw(st.integers(1, 2))):
        block += draw(rows(definitions=names))
        block.append({"conv": 3, "width": "out", "stride": "stage"})
        block += draw(st.sampled_from([["norm", "add"], ["norm", "add", "act"], ["add"]]))
        if draw(st.booleans()):
            break
    first, seen = [], False
    for row in block:  # the stage's stride is taken once
        if isinstance(row, dict) and row.get("stride") == "stage":
            row = {k: v for k, v in row.items() if k != "stride"} if seen else row
            seen = True
        first.append(row)
    define["mine"] = first
    return {
        "name": "random",
        "input": {"channels": 3, "size": draw(st.sampled_from([8, 9, [6, 10]]))},
        "define": define,
        "stem": [{"conv": 3, "width": 8}, "norm", "act"],
        "block": "mine",
        "shortcut": draw(
            st.sampled_from(["projection", "identity", "identity-same", "none", "gated", "scaled"])
        ),
        "activation": draw(st.sampled_from(["relu", "silu"])),
        "stages": [
            {"depth": draw(st.integers(1, 2)), "width": 8},
            {"depth": 2, "width": 16, "stride": 2},
        ],
        "head": ["global-pool", "flatten", {"linear": "classes"}],
        "classes": 5,
    }
