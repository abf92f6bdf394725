"""The memory of one training step, in closed form: what autograd keeps, and the peak.

    peak = weights + buffers + optimizer state + the most of, on the way back,
           (tensors still kept + gradients so far + gradients in flight)

All of it is bytes of tensors; the device's context, its kernels' workspace and the
allocator's rounding come on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen.cost.autograd import forward
from resgen.cost.books import cost
from resgen.cost.buffers import buffers
from resgen.cost.conventions import conv_and_linear
from resgen.cost.tape import FULL, backward_peak
from resgen.plan import Plan, elements
from resgen.plan import layers as L
from resgen.words import hung, memory, short

PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = {"sgd": ("no state", 0), "momentum": ("momentum", 1), "adamw": ("two moments", 2)}


class Step(NamedTuple):
    """Bytes of a training step at a batch size, and its multiply-adds for one image.

    kept: what autograd holds between forward and backward, `kept_image` of it for each
    image; casts: the half-precision copies of the weights among it. peak: the most alive at once.
    """

    batch: int
    precision: str
    optimizer: str
    weights: int
    buffers: int
    gradients: int
    state: int
    kept: int
    kept_image: int
    casts: int
    peak: int
    forward_macs: int
    backward_macs: int


def step_lines(step: Step, limit: int | None = None, fits: int | None = None) -> list[str]:
    """The breakdown as text: what fills the memory, and what one step computes."""
    words = OPTIMIZERS[step.optimizer][0]
    compute = step.batch * (step.forward_macs + step.backward_macs)
    lines = [f"training   batch {step.batch}, {step.precision}, {_TITLES[step.optimizer]}"]
    found = [
        ("weights", step.weights, "fp32"),
        ("buffers", step.buffers, "running means and variances"),
        ("gradients", step.gradients, "fp32"),
        ("optimizer", step.state, words),
        ("kept", step.kept, f"by autograd for the way back, {memory(step.kept_image)} an image"),
    ]
    if step.casts:
        found.append(("of it", step.casts, f"{step.precision} copies of the weights"))
    found.append(("peak", step.peak, "the most at once, images and gradients in flight included"))
    for label, count, what in found:
        lines += hung(f"  {label:<9}{memory(count):>11}", f"  {what}", 24)
    lines += hung(
        "  compute",
        f"forward {short(step.forward_macs)} MACs, backward {short(step.backward_macs)} an image; "
        f"{short(compute)} MACs a step",
        11,
    )
    if limit is not None:
        size = "no batch, not even one image," if not fits else f"batch {fits}"
        lines += hung("  fits", f"{size} into {memory(limit)}, by the peak above", 11)
    lines += hung(
        "",
        "Bytes of tensors; the device's context and its kernels' workspace come on top.",
        11,
    )
    return lines


_TITLES = {"sgd": "plain SGD", "momentum": "SGD with momentum", "adamw": "AdamW"}


def training_step(
    plan: Plan, batch: int, precision: str = "fp32", optimizer: str = "momentum",
    *, frozen: int = 0, still: Callable[[str], bool] = lambda _: False,
) -> Step:  # fmt: skip
    """The bytes of one step with cross entropy, gradients set to None before it.

    frozen: how many of stem and blocks, from the input on, are not trained. still: whether a
    parameter is not, wherever it stands; its gradient and state are not there.
    """
    half = precision != "fp32"
    tape = forward(plan, batch, half, frozen)
    books = cost(plan)
    weights = FULL * books.params
    buffers = _buffers(plan)
    sizes = {name: FULL * elements(shape) for name, shape in plan.named_parameters()}
    gradients = weights - sum(size for name, size in sizes.items() if still(name))
    state = OPTIMIZERS[optimizer][1] * gradients
    largest = max(size for name, size in sizes.items() if not still(name))
    kept = sum(tape.kept.values())
    # Where a share of the channels of several images is a tensor of its own, one image is less.
    three = sum(forward(plan, 3, half, frozen).kept.values())
    two = sum(forward(plan, 2, half, frozen).kept.values())
    first = next((c for c in map(conv_and_linear, plan.stem) if c), 0)
    image = FULL * batch * elements(plan.input)
    passing = image + max(backward_peak(tape), tape.passing)
    peak = weights + buffers + state + max(passing, gradients + largest)
    return Step(
        batch,
        precision,
        optimizer,
        weights,
        buffers,
        gradients,
        state,
        kept,
        three - two,
        tape.casts,
        peak,
        books.macs,
        2 * books.macs - first,
    )


class Training(NamedTuple):
    """A training step as it is asked for: by its batch, or by the memory it may take.

    limit: bytes; where no batch is given, the step is that of the largest batch within it.
    """

    batch: int | None = None
    precision: str = "fp32"
    optimizer: str = "momentum"
    limit: int | None = None

    def report(self, plan: Plan) -> tuple[dict[str, int | str] | None, tuple[str, ...]]:
        """The step as plain values and as text, where one was asked for."""
        if self.batch is None and self.limit is None:
            return None, ()
        fits = None
        if self.limit is not None:
            fits = largest_batch(plan, self.limit, self.precision, self.optimizer)
        step = training_step(plan, self.batch or fits or 1, self.precision, self.optimizer)
        data: dict[str, int | str] = dict(step._asdict())
        if self.limit is not None and fits is not None:
            data |= {"limit": self.limit, "largest_batch": fits}
        return data, tuple(step_lines(step, self.limit, fits))

    def peak(self, plan: Plan) -> int:
        """The most bytes alive at once in a step of the batch, or of one image."""
        return training_step(plan, self.batch or 1, self.precision, self.optimizer).peak


def largest_batch(plan: Plan, limit: int, precision: str, optimizer: str) -> int:
    """The largest batch whose peak fits into `limit` bytes; 0 where one image does not."""

    def fits(batch: int) -> bool:
        return training_step(plan, batch, precision, optimizer).peak <= limit

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _buffers(plan: Plan) -> int:
    """What layers hold that is not trained; a batch norm also counts the batches it has seen."""
    ops = [layer.op for _, layer in plan.named_layers()]
    return sum(FULL * buffers(op) + (8 if isinstance(op, L.BatchNorm) else 0) for op in ops)
