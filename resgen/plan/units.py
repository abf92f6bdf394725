"""Residual units: the main path up to an `add`, and what joins it there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.layers import JOINED, PLAIN, Layer, Merge, Mismatch, Op, Shape, Shortcut, chain
from resgen.plan.layers.base import both
from resgen.plan.numbers import Make, Numbers, Step, Stride, run
from resgen.plan.space import Space
from resgen.plan.tables import SHORTCUT_FUNCTIONS
from resgen.spec.parts import ShortcutMode

IDENTITY = Shortcut("identity")


class Joined(NamedTuple):
    """A unit's layers: y = merge(main(x), shortcut(x')), x' behind `leaves_after` layers."""

    main: tuple[Layer, ...]
    shortcut: Shortcut
    merge: Merge
    leaves_after: int


class Joins:
    """What a `shortcut` setting joins at every `add`.

    projections: the steps of a projection where nothing strides, and where something does.
    ends: what stands on the main path ahead of each addition. attended: what each shortcut
    ends in.
    """

    def __init__(
        self,
        mode: ShortcutMode,
        projections: tuple[tuple[Make, ...], tuple[Make, ...]],
        ends: Sequence[Step],
        attended: Sequence[Step] = (),
    ) -> None:
        self.mode, self.projections, self.ends = mode, projections, tuple(ends)
        self.attended = [make for _, make in attended]
        self.kind = mode.kind
        # Whether an addition makes a new tensor, whatever the shapes.
        self.always = mode.kind not in ("none", "identity-same")
        # Whether the input itself joins where its shape is kept.
        self.bare = not attended and mode.kind not in (
            "none", "projection-all", *SHORTCUT_FUNCTIONS
        )  # fmt: skip

    def unit(self, space: Space, main: list[Step], split: int, all_leave: bool) -> Unit:
        """The unit of the steps of its main path."""
        functions = self.mode.kind in SHORTCUT_FUNCTIONS or self.attended
        function = space.name("shortcut") if functions else ""
        names = (space.name("downsample"), function, space.name("gate"))
        projections = tuple(
            [(f"{names[0]}.{i}", make) for i, make in enumerate(makes)]
            for makes in self.projections
        )
        return Unit(self, (*main, *self.ends), split, all_leave, names, projections)


class Unit(NamedTuple):
    """A main path in steps, and what joins it; names: of projection, function and gate.

    start, split: the steps behind which an identity and a projection leave.
    """

    joins: Joins
    main: tuple[Step, ...]
    split: int
    all_leave: bool
    names: tuple[str, str, str]
    projections: tuple[list[Step], ...]
    start: int = 0

    def residual(self, shape: Shape, numbers: Numbers) -> Op | None:
        """The unit as a layer of the path it stands in."""
        made = self.layers(shape, numbers)
        if not made.main and made.shortcut.kind == "none":
            return None
        output = made.main[-1].output if made.main else shape
        return L.Residual(made.main, made.shortcut, made.merge, made.leaves_after, output)

    def layers(self, shape: Shape, numbers: Numbers, *, skips: int = 0) -> Joined:
        """The unit's layers for the shape it takes in, less those that it skips.

        Raises Mismatch where the two paths do not meet.
        """
        if not self.split:
            return self._joined(run(self.main[skips:], shape, numbers), shape, numbers, (0, 0))
        main: tuple[Layer, ...] = ()
        leaves, source = [0, 0], [shape, shape]
        for place, (begin, end) in enumerate(((skips, self.start), (self.start, self.split))):
            main += run(self.main[max(begin, skips) : end], source[-1], numbers)
            leaves[place] = len(main)
            source[place:] = [main[-1].output if main else shape] * (2 - place)
        main += run(self.main[max(self.split, skips) :], source[1], numbers)
        return self._joined(main, source[self.all_leave], numbers, (leaves[0], leaves[1]))

    def _joined(
        self, main: tuple[Layer, ...], source: Shape, numbers: Numbers, leaves: tuple[int, int]
    ) -> Joined:
        """The main path and what joins it; `source`: what the shortcut takes in."""
        output = main[-1].output if main else source
        shortcut = self._shortcut(source, output, numbers)
        if shortcut is IDENTITY and self.joins.kind != "gated":
            return Joined(main, shortcut, JOINED, leaves[self.all_leave])
        if shortcut.layers and (joins := shortcut.layers[-1].output) != output:
            raise Mismatch(
                f"the main path puts out {_image(output)}, the shortcut {_image(joins)}"
                if output[0] == joins[0]
                else f"the main path puts out {output[0]} channels, the shortcut {joins[0]}"
            )
        if shortcut.kind == "none":
            if self.joins.ends:
                # A block that has no shortcut here must not be dropped, nor scaled against one.
                main = main[: -len(self.joins.ends)]
            return Joined(main, shortcut, JOINED, 0)
        merge = JOINED
        if self.joins.kind == "gated":
            gate = L.Gate(output[0], self.joins.mode.gate_bias)
            merge = Merge(Layer(self.names[2], gate, output, output))
        shares = self.all_leave or shortcut.kind == "projection"
        return Joined(main, shortcut, merge, leaves[shares])

    def _shortcut(self, shape: Shape, output: Shape, numbers: Numbers) -> Shortcut:
        """What the mode says for a shape that is kept or changed."""
        mode = self.joins.kind
        if numbers.stride == 1 and shape == output:
            if self.joins.bare:
                return IDENTITY
            stride: Stride = 1
            changes = False
        else:
            stride = _stride(shape, output, numbers.stride)
            changes = stride != 1 or shape != output
        if mode == "none" or (mode == "identity-same" and changes):
            return PLAIN
        if len(shape) != len(output):
            raise Mismatch("an add joins images to images; flatten comes behind it")
        if mode == "projection-all" or (mode == "projection" and changes):
            if output[0] != numbers.out or stride != numbers.stride:
                numbers = numbers._replace(out=output[0], stride=stride)
            layers = run(self.projections[stride != 1], shape, numbers)
            if self.joins.attended:
                name, first = self.names[0], len(layers)
                ended = [make(output, numbers) for make in self.joins.attended]
                steps = ((f"{name}.{i}", op) for i, op in enumerate(ended, first) if op)
                layers += chain(layers[-1].output if layers else shape, *steps)
            return Shortcut("projection", layers)
        ops: list[Op] = []
        if changes:
            if shape[0] > output[0]:
                raise Mismatch(
                    f"an identity shortcut cannot narrow {shape[0]} channels to {output[0]}; "
                    "use shortcut: projection"
                )
            ops.append(_padded(self.joins.mode, shape[0], output[0], stride))
        kind = "identity-padded" if changes else "identity"
        if mode in SHORTCUT_FUNCTIONS:
            ops.append(SHORTCUT_FUNCTIONS[mode](self.joins.mode, output[0]))
        ops += [op for make in self.joins.attended if (op := make(output, numbers))]
        if self.names[1]:
            return Shortcut(kind, _numbered(self.names[1], shape, ops))
        return Shortcut(kind, _numbered(self.names[0], shape, ops)) if ops else IDENTITY


def _padded(mode: ShortcutMode, into: int, out: int, stride: Stride) -> Op:
    """The identity of a changed shape: what is subsampled, or averaged, and where zeros go."""
    if mode.kind == "identity-pooled":
        return L.PooledIdentity(into, out, stride)
    if mode.padding == "behind" and isinstance(stride, int):
        return L.PaddedIdentity(into, out, stride)
    before, odd = divmod(out - into, 2) if mode.padding == "both-sides" else (0, 0)
    if odd:
        raise Mismatch(
            f"{out - into} new channels cannot be halved; say padding: behind",
            ("shortcut", "padding"),
        )
    return L.OffsetIdentity(into, out, stride, before)


def _stride(shape: Shape, output: Shape, said: Stride) -> Stride:
    """What the main path strides by: the stage's stride where that explains the shapes."""
    if len(shape) < 2 or len(output) < 2:
        return said if len(shape) > 1 else 1
    pairs = list(zip(shape[1:], output[1:], both(said), strict=True))
    if all(-(-into // s) == out for into, out, s in pairs):
        return said
    down, right = (max(1, round(into / out)) for into, out, _ in pairs)
    return down if down == right or isinstance(said, int) else (down, right)


def _image(shape: Shape) -> str:
    return "x".join(map(str, shape[1:]))


def _numbered(name: str, shape: Shape, ops: Sequence[Op]) -> tuple[Layer, ...]:
    """One layer keeps the name, several are numbered."""
    if len(ops) == 1:
        return chain(shape, (name, ops[0]))
    return chain(shape, *((f"{name}.{i}", op) for i, op in enumerate(ops)))
