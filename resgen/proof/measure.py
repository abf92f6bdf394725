"""What the module really does, seen by two independent counters.

fvcore traces one image through the module and counts by module name; torch's own
FlopCounterMode counts a second time. All that is known of fvcore (its deprecated tracer,
its warnings, its tables, what it counts as what) is in this file.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resgen.errors import UserError
from resgen.plan import Plan, Shape
from resgen.words import size

# Operators with a cost of their own line in the books, or with none: each is accounted
# for by a rule of the closed form. An operator in neither table fails the proof.
COUNTED = {
    "conv": "conv",
    "linear": "linear",
    "matmul": "linear",
    **{f"{kind}_norm": "norm" for kind in ("batch", "group", "instance", "layer")},
}
ACCOUNTED = frozenset(
    {
        "aten::max_pool2d",
        "aten::avg_pool2d",
        "aten::mean",
        "aten::amax",
        "aten::unflatten",
        "aten::sigmoid",
        "aten::silu",
        "aten::silu_",
        "aten::gelu",
        "aten::elu",
        "aten::elu_",
        "aten::leaky_relu",
        "aten::leaky_relu_",
        "aten::hardswish",
        "aten::hardswish_",
        "aten::mul",
        "aten::hardtanh",
        "aten::hardtanh_",
        "aten::hardsigmoid",
        "aten::hardsigmoid_",
        "aten::mish",
        "aten::mish_",
        "aten::tanh",
        "aten::prelu",
        "aten::maximum",
        "aten::addcmul",
        "aten::div",
        "aten::linalg_vector_norm",
        "aten::var",
        "aten::sqrt",
        "aten::rsqrt",
        "aten::square",
        "aten::sub",
        "aten::clamp",
        "aten::clamp_min",
        "aten::ones_like",
        "aten::softmax",
        "aten::sum",
        "aten::channel_shuffle",
        "aten::pixel_unshuffle",
        "aten::upsample_nearest2d",
        "aten::rsub",
        "aten::pad",
        "aten::expand_as",
        "aten::reshape_as",
    }
)


class Measurement(NamedTuple):
    """Counts of one image through a module, by full dotted layer name.

    macs, norms: what fvcore counted in each layer. additions: elements of each traced
    addition, smallest first, by the module it stands in. witness: MACs of torch's FlopCounterMode.
    unknown: operators without a rule, and how many. parameters: name -> shape.

    Examples:
        >>> from resgen import build_module, measure
        >>> measure(build_module("digits/resnet20"), "digits/resnet20").macs["fc"]
        640
    """

    macs: dict[str, int]
    norms: dict[str, int]
    additions: dict[str, tuple[int, ...]]
    witness: int
    unknown: dict[str, int]
    parameters: dict[str, Shape]
    by_operator: dict[str, int]


def measure(module: nn.Module, plan: Plan) -> Measurement:
    """Traces one image of the Plan's input shape through the module.

    The module is left exactly as it was: no hooks, no buffers, each part in the mode it
    was in. Raises UserError where the module does not take the image.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"what is measured is a torch module, not a {type(module).__name__}")
    parameters = dict(module.named_parameters())
    device = next((p.device for p in parameters.values()), torch.device("cpu"))
    image = torch.zeros(1, *plan.input, device=device)
    with _evaluating(module), _one_thread(), torch.no_grad():
        try:
            counted, additions, unsupported = _trace(module, image)
            witness = _witness(module, image)
        except RuntimeError as error:
            raise UserError(
                f"{plan.name}: an image of {size(plan.input)} does not go through the module: "
                f"{str(error).splitlines()[0]}"
            ) from error
    macs: dict[str, int] = {}
    norms: dict[str, int] = {}
    totals: Counter[str] = Counter()
    own = _own_counts(counted)
    for name, operators in own.items():
        for operator, count in operators.items():
            totals[operator] += count
            line = COUNTED.get(operator)
            if line in ("conv", "linear"):
                macs[name] = macs.get(name, 0) + count
            elif line == "norm":
                norms[name] = norms.get(name, 0) + count
    return Measurement(
        macs,
        norms,
        additions,
        witness,
        {op: n for op, n in unsupported.items() if op not in ACCOUNTED},
        {name: tuple(p.shape) for name, p in parameters.items()},
        dict(totals),
    )


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One image is little work: on a busy machine threads wait for each other longer than that."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _trace(
    module: nn.Module, image: torch.Tensor
) -> tuple[dict[str, Counter[str]], dict[str, tuple[int, ...]], Counter[str]]:
    def addition(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        # A number added, as under a root, joins nothing.
        if not _sizes(inputs[1]):
            return Counter()
        # One per call under its size, so that the count by module says which stand where.
        return Counter({f"{_ADD}{prod(outputs[0].type().sizes())}": 1})

    logger = logging.getLogger("fvcore.nn.jit_analysis")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(module, image)
            analysis.set_op_handle("aten::add", addition, "aten::add_", addition)
            analysis.unsupported_ops_warnings(False)
            analysis.uncalled_modules_warnings(False)
            analysis.tracer_warnings("none")
            counted = dict(analysis.by_module_and_operator())
            unsupported = analysis.unsupported_ops()
    finally:
        logger.setLevel(level)
    return counted, _additions(counted), unsupported


def _sizes(value: Any) -> list[int]:
    """The shape of a traced value; of a number none."""
    kind = value.type()
    return list(kind.sizes() or ()) if isinstance(kind, torch._C.TensorType) else []


_ADD = "add of "


def _additions(counted: dict[str, Counter[str]]) -> dict[str, tuple[int, ...]]:
    """Elements of each addition, smallest first, by the module it stands in."""
    found: dict[str, tuple[int, ...]] = {}
    for name, operators in _own_counts(counted).items():
        sizes = [
            int(operator.removeprefix(_ADD))
            for operator, times in operators.items()
            if operator.startswith(_ADD)
            for _ in range(times)
        ]
        if sizes:
            found[name] = tuple(sorted(sizes))
    return found


def _own_counts(counted: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """Counts of a module without those of the modules inside it, in order of definition."""
    own = {name: Counter(operators) for name, operators in counted.items()}
    for name, operators in counted.items():
        if name:
            parent = name.rpartition(".")[0]
            while parent and parent not in own:
                parent = parent.rpartition(".")[0]
            own[parent].subtract(operators)
    return {name: Counter({k: v for k, v in ops.items() if v}) for name, ops in own.items()}


def _witness(module: nn.Module, image: torch.Tensor) -> int:
    """MACs of one image by torch's own FlopCounterMode."""
    counter = FlopCounterMode(display=False)
    # Torch imports its whole compiler, two seconds of it, to switch it off inside a
    # dispatch mode; nothing is compiled here, so the mode's function stands for itself.
    mode = vars(sys.modules[FlopCounterMode.__module__]).get("_FlopCounterMode")
    raw = getattr(getattr(mode, "__torch_dispatch__", None), "__wrapped__", None)
    if raw is not None and "torch._dynamo" not in sys.modules:
        raw.__dynamo_disable = raw
    with counter:
        module(image)
    return int(counter.get_total_flops()) // 2
