"""Named tensors -> a module of ours, by name; nothing is silently left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from resgen.errors import UserError
from resgen.plan import Plan
from resgen.plan.layers import Linear
from resgen.weights.keys import KEY_MAPS, WRAPPERS, rename

if TYPE_CHECKING:
    from torch import Tensor, nn

Shape = tuple[int, ...]


class LoadReport(NamedTuple):
    """What became of every name of the file and of the module.

    loaded: names given values. missing: names of the module that the file has not, which
    keep theirs. unexpected: names of the file without a place. mismatched: name, its shape
    in the file, its shape in the module. key_map: how names were read. which: of a run's weights.
    """

    key_map: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[tuple[str, Shape, Shape], ...]
    which: Literal["averaged", "last", "drawn"] = "last"

    def text(self) -> str:
        """One line: how many were loaded, and every name that was not."""
        what = "averaged tensors" if self.which == "averaged" else "tensors"
        line = f"loaded {len(self.loaded)} {what}, names read {self.key_map}"
        for what in ("missing", "unexpected"):
            if names := getattr(self, what):
                line += f"; {what}: {', '.join(names)}"
        for name, theirs, ours in self.mismatched:
            line += f"; {name}: {theirs} in the file, {ours} here"
        return line


def init_from(
    module: nn.Module, plan: Plan, path: Path, *, head: Literal["keep", "drop"] = "keep"
) -> LoadReport:
    """Gives the module of a Plan the weights of a `.pth`, `.pt` or `.safetensors` file.

    Of a run folder they are its last checkpoint's, and of a checkpoint the averaged ones where
    the run kept an average. With
    `head="drop"` the classifier keeps its own initial weights, whatever the file has for
    one. Raises UserError, and changes nothing, where a tensor cannot be a weight, or a name
    of the file or of the module finds no partner of its shape.
    """
    from resgen.tensors.formats import read_judged

    weights, which = read_judged(path)
    return _load(module, plan, weights, str(path), head)._replace(which=which)


def load_weights(
    module: nn.Module,
    plan: Plan,
    weights: Mapping[str, Tensor],
    *,
    file: str = "the weights",
    head: Literal["keep", "drop"] = "keep",
) -> LoadReport:
    """`init_from` for weights already in memory."""
    from resgen.tensors import dense

    return _load(module, plan, dense.weights(weights, file), file, head)


def _load(
    module: nn.Module,
    plan: Plan,
    weights: Mapping[str, Tensor],
    file: str,
    head: Literal["keep", "drop"],
) -> LoadReport:
    ours: dict[str, Tensor] = {WRAPPERS.sub("", k): v for k, v in module.state_dict().items()}
    key_map, theirs = _renamed(weights, ours.keys())
    if 2 * sum(name in ours for name in theirs) < len(ours) and (named := _in_order(weights, ours)):
        key_map, theirs = IN_ORDER, named
    theirs = {name: _as_linear(value, ours.get(name)) for name, value in theirs.items()}
    dropped = _head_names(plan, theirs) if head == "drop" else frozenset()
    wanted = {name: value for name, value in theirs.items() if name not in dropped}
    loaded = [n for n, v in wanted.items() if n in ours and v.shape == ours[n].shape]
    report = LoadReport(
        key_map,
        tuple(loaded),
        tuple(name for name in ours if name not in wanted),
        tuple(name for name in theirs if name not in ours or name in dropped),
        tuple(
            (name, tuple(value.shape), tuple(ours[name].shape))
            for name, value in wanted.items()
            if name in ours and value.shape != ours[name].shape
        ),
    )
    _refuse(report, plan, file, dropped)
    import torch

    with torch.no_grad():
        for name in loaded:
            ours[name].copy_(wanted[name])
    return report


def _renamed(weights: Mapping[str, Tensor], ours: Any) -> tuple[str, dict[str, Tensor]]:
    """The weights under our names, by the key map that places most of them."""
    best = ("", {}, -1)  # type: tuple[str, dict[str, Tensor], int]
    for key_map, rows in KEY_MAPS.items():
        named = {rename(key, rows): value for key, value in weights.items()}
        placed = sum(name in ours for name in named)
        if len(named) == len(weights) and placed > best[2]:
            best = (key_map, named, placed)
    return best[0], best[1]


IN_ORDER = "in their order"


def _in_order(weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under our names, one by one as they stand; nothing where any does not fit.

    They fit where there are as many, each with our shape and the last part of our name.
    """
    mine = [(n, value) for n, value in ours.items() if not n.endswith(_COUNTER)]
    theirs = [(n, value) for n, value in weights.items() if not n.endswith(_COUNTER)]
    if len(mine) != len(theirs):
        return {}
    named: dict[str, Tensor] = {}
    for (name, value), (key, given) in zip(mine, theirs, strict=True):
        found = _as_linear(given, value)
        if found.shape != value.shape or key.rpartition(".")[2] != name.rpartition(".")[2]:
            return {}
        named[name] = found
    return named


_COUNTER = "num_batches_tracked"


def _as_linear(value: Tensor, ours: Tensor | None) -> Tensor:
    """A classifier written as a 1x1 convolution, (n, c, 1, 1), as the matrix (n, c) it is."""
    if ours is not None and tuple(value.shape) == (*ours.shape, 1, 1):
        return value.reshape(ours.shape)
    return value


def _head_names(plan: Plan, theirs: Mapping[str, Any]) -> frozenset[str]:
    """The classifier's names; in a backbone, which has none, whatever the file calls one."""
    layers = {layer.name for layer in plan.head if isinstance(layer.op, Linear)} or {"fc"}
    return frozenset(name for name in theirs if name.rpartition(".")[0] in layers)


def _refuse(report: LoadReport, plan: Plan, file: str, dropped: frozenset[str]) -> None:
    """Raises UserError unless all but a dropped head, and counters of batches, match."""
    head = {layer.name for layer in plan.head if isinstance(layer.op, Linear)}
    # What is wrong besides the classifier is the greater mistake: it is said first.
    for name, theirs, ours in sorted(
        report.mismatched, key=lambda found: found[0].rpartition(".")[0] in head
    ):
        way_out = f"the file is of another network than {plan.name}"
        if name.rpartition(".")[0] in head:
            way_out = "another number of classes; --head drop starts the classifier anew"
        more = len(report.mismatched) - 1
        others = f" ({more} more tensors differ)" if more and "--head" not in way_out else ""
        raise UserError(
            f"{file}: {name} is {theirs} there and {ours} in {plan.name}{others}: {way_out}"
        )
    if dropped:
        dropped |= {name for name in report.missing if name.rpartition(".")[0] in head}
    missing = [
        name for name in report.missing if name not in dropped and not name.endswith(_COUNTER)
    ]
    unexpected = [name for name in report.unexpected if name not in dropped]
    if all(name.endswith(_COUNTER) for name in unexpected):
        unexpected = []  # a frozen norm counts no batches, and may be given one that did
    if not missing and not unexpected:
        return
    if not report.loaded:
        raise UserError(
            f"{file}: none of its {len(unexpected)} names is one of {plan.name}'s: "
            f"{_first(unexpected)} there, {_first(missing)} here"
        )
    parts = []
    if missing:
        parts.append(f"has nothing for {_first(missing)}")
    if unexpected:
        parts.append(f"has {_first(unexpected)}, for which {plan.name} has no place")
    backbone = not head and all(name.startswith("fc.") for name in unexpected) and not missing
    way_out = "; --head drop leaves the classifier out" if backbone else ""
    raise UserError(f"{file}: {' and '.join(parts)}{way_out}")


def _first(names: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= 100 else f"{name[:97]}..." for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
