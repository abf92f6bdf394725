"""The forms a network can be written in, by the ending of the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from resgen.cost import cost
from resgen.errors import UserError
from resgen.export import text
from resgen.export.subject import WITH_WEIGHTS, Subject, enforce
from resgen.proof import Check
from resgen.words import memory


class Order(NamedTuple):
    """One file that is asked for; `command` is the one that writes it again."""

    path: Path
    command: str = ""
    features: bool = False


class Written(NamedTuple):
    """A file's content, and what was checked of it."""

    content: bytes | str
    checks: tuple[Check, ...] = ()

    @property
    def size(self) -> str:
        """Lines of a text, bytes of anything else."""
        if isinstance(self.content, str):
            return f"{len(self.content.splitlines())} lines"
        return memory(len(self.content))


def _py(subject: Subject, order: Order) -> Written:
    source = text.source(subject, order.path, features=order.features, command=order.command)
    if subject.trained is None:
        return Written(source)
    from resgen.export.weights import source_takes

    return Written(source, (source_takes(subject, source),))


def _yaml(subject: Subject, order: Order) -> Written:
    made = text.spec(subject, order.command)
    return Written(made, (text.check_spec(subject, made),))


def _json(subject: Subject, order: Order) -> Written:
    made = text.plan(subject)
    return Written(made, (text.check_plan(subject, made),))


def _safetensors(subject: Subject, order: Order) -> Written:
    from resgen.export.weights import safetensors

    content, check = safetensors(subject)
    return Written(content, (check,))


def _pt2(subject: Subject, order: Order) -> Written:
    from resgen.export.programs import pt2

    content, check = pt2(subject)
    return Written(content, (check,))


def _onnx(subject: Subject, order: Order) -> Written:
    from resgen.export.programs import onnx

    content, check = onnx(subject)
    return Written(content, (check,))


FORMS: dict[str, Callable[[Subject, Order], Written]] = {
    ".py": _py,
    ".pt2": _pt2,
    ".onnx": _onnx,
    ".safetensors": _safetensors,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": _json,
}
ENDINGS = tuple(FORMS)
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_MOST_ONNX = 2**31 - 2**24
"""Bytes of weights in one ONNX file: protobuf's limit, less what the graph takes."""


def missing_weights(subject: Subject, orders: Sequence[Order]) -> str:
    """A sentence where a .py file names a file of weights that is not there, else nothing."""
    written = [order.path for order in orders]
    for path in written:
        weights = text.weights_beside(subject, path) if path.suffix == ".py" else None
        if weights and weights not in written and not weights.exists():
            return f"note: {path} names {weights.name}; -o {weights} writes it"
    return ""


def check_order(paths: Sequence[Path], *, features: bool, folding: bool) -> None:
    """Raises UserError for files that cannot be made of any network, before one is read."""
    endings = [path.suffix for path in paths]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"-o {path}: given twice; name each file once")
    if features and paths and ".py" not in endings:
        raise UserError(f"--features: {paths[0]} has none; only a .py file has forward_features")
    if folding and (specs := [path for path in paths if path.suffix in (".yaml", ".yml")]):
        raise UserError(f"--fold: no spec says a folded batch norm; leave it or {specs[0]} out")
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if ".onnx" in endings and missing:
        path = paths[endings.index(".onnx")]
        raise UserError(
            f"{path}: {missing[0]} is not installed, which ONNX files are written or checked with; "
            "pip install 'resgen[onnx]'"
        )


def written(subject: Subject, orders: Sequence[Order]) -> list[Written]:
    """Each file's content, all of its checks holding. Raises CheckFailed for one that does not.

    Nothing is on disk yet: what is written is written whole.
    """
    for order in orders:
        if subject.misfit and order.path.suffix in WITH_WEIGHTS:
            raise UserError(f"{subject.misfit}; a {order.path.suffix} file holds weights")
        if order.path.suffix == ".onnx" and 4 * cost(subject.plan).params > _MOST_ONNX:
            raise UserError(
                f"{order.path}: {subject.plan.name} has {4 * cost(subject.plan).params:,} bytes of "
                "weights, and an ONNX file holds 2 GiB; write a .pt2 or .safetensors file"
            )
    enforce(subject.checks, subject.plan.name)
    made = []
    for order in orders:
        each = FORMS[order.path.suffix](subject, order)
        enforce(each.checks, str(order.path))
        made.append(each)
    return made
