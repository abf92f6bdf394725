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
Head = Literal["auto", "keep", "drop"]
"""Of a file's classifier: keep it, leave it out, or keep it where it fits."""


class LoadReport(NamedTuple):
    """What became of every name of the file and of the module.

    loaded: names given values. missing: names of the module that the file has not, which
    keep theirs. unexpected: names of the file without a place. mismatched: name, its shape
    in the file, its shape in the module. key_map: how names were read. which: of a run's weights.
    adapted: name, channels in the file, channels here, of the first convolution. fresh: names of
    the classifier that keep their initial values. classes, channels: the file's own, where it says
    them.

    Examples:
        >>> from resgen import build_module, load_weights
        >>> module, other = build_module("resnet18"), build_module("resnet18")
        >>> len(load_weights(module, "resnet18", other.state_dict()).loaded)
        122
    """

    key_map: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[tuple[str, Shape, Shape], ...]
    which: Literal["averaged", "last", "drawn"] = "last"
    adapted: tuple[tuple[str, int, int], ...] = ()
    fresh: tuple[str, ...] = ()
    classes: int | None = None
    channels: int | None = None

    def text(self) -> str:
        """One line: how many were loaded, and every name that was not."""
        what = "averaged tensors" if self.which == "averaged" else "tensors"
        line = f"loaded {len(self.loaded)} {what}, names read {self.key_map}"
        for what in ("missing", "unexpected"):
            if names := [name for name in getattr(self, what) if name not in self.fresh]:
                line += f"; {what}: {', '.join(names)}"
        for name, theirs, ours in self.mismatched:
            line += f"; {name}: {theirs} in the file, {ours} here"
        for name, old, new in self.adapted:
            how = "summed" if new == 1 else "repeated and scaled"
            line += f"; {name} {how} from {old} channels to {new}"
        if self.fresh:
            of = f", not the file's of {self.classes:,} classes" if self.classes else ""
            line += f"; a new classifier ({', '.join(self.fresh)}){of}"
        return line


def init_from(
    module: nn.Module,
    plan: Plan,
    path: Path,
    *,
    head: Head = "keep",
    channels: Literal["keep", "adapt"] = "keep",
) -> LoadReport:
    """Gives the module of a Plan the weights of a `.pth`, `.pt` or `.safetensors` file.

    Of a run folder they are its last checkpoint's, and of a checkpoint the averaged ones where
    the run kept an average. With `head="drop"` the classifier keeps its own initial weights,
    whatever the file has for one; with "auto" it does where the file's does not fit, or is not
    there. `channels="adapt"` gives the first convolution the file's for another number of
    channels (`adapted_channels`). Raises UserError, and changes nothing, where a tensor cannot be
    a weight, or a name of the file or of the module finds no partner of its shape.
    """
    from resgen.tensors.formats import read_judged

    weights, which = read_judged(path)
    return _load(module, plan, weights, str(path), head, channels)._replace(which=which)


def load_weights(
    module: nn.Module,
    plan: Plan,
    weights: Mapping[str, Tensor],
    *,
    file: str = "the weights",
    head: Head = "keep",
    channels: Literal["keep", "adapt"] = "keep",
) -> LoadReport:
    """`init_from` for weights already in memory."""
    from resgen.tensors import dense

    return _load(module, plan, dense.weights(weights, file), file, head, channels)


def _load(
    module: nn.Module,
    plan: Plan,
    weights: Mapping[str, Tensor],
    file: str,
    head: Head,
    channels: Literal["keep", "adapt"],
) -> LoadReport:
    ours: dict[str, Tensor] = {WRAPPERS.sub("", k): v for k, v in module.state_dict().items()}
    key_map, theirs = _renamed(weights, ours.keys())
    if 2 * sum(name in ours for name in theirs) < len(ours) and (named := _in_order(weights, ours)):
        key_map, theirs = IN_ORDER, named
    theirs = {name: _as_linear(value, ours.get(name)) for name, value in theirs.items()}
    sizes = {name: tuple(value.shape) for name, value in theirs.items()}
    first = _first_conv(plan)
    adapted = _misfit_channels(first, theirs, ours) if channels == "adapt" else ()
    for name, _, count in adapted:
        theirs[name] = adapted_channels(theirs[name], count)
    out = _left_out(plan, theirs, ours, head)
    dropped = frozenset(n for n in (*theirs, *ours) if n.rpartition(".")[0] in out)
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
        adapted=adapted,
        fresh=tuple(name for name in ours if name in dropped),
        classes=_rows(plan, sizes),
        channels=sizes[first][1] if len(sizes.get(first, ())) == 4 else None,
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


def _left_out(
    plan: Plan, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], head: Head
) -> frozenset[str]:
    """The layers of the classifier that are left out; in a backbone, which has none, `fc`."""
    layers = frozenset(layer.name for layer in plan.head if isinstance(layer.op, Linear)) or {"fc"}
    if head != "auto":
        return frozenset(layers if head == "drop" else ())
    names = [n for n in dict.fromkeys((*theirs, *ours)) if n.rpartition(".")[0] in layers]
    return frozenset(
        name.rpartition(".")[0]
        for name in names
        if name not in theirs or name not in ours or theirs[name].shape != ours[name].shape
    )


def _rows(plan: Plan, sizes: Mapping[str, Shape]) -> int | None:
    """How many classes a file's classifier tells apart."""
    layers = [layer.name for layer in plan.head if isinstance(layer.op, Linear)] or ["fc"]
    size = sizes.get(f"{layers[-1]}.weight", ())
    return size[0] if len(size) in (2, 4) else None


def _first_conv(plan: Plan) -> str:
    """The weight of the first convolution, if it looks at the image itself."""
    for name, layer in plan.named_layers():
        if (weight := layer.op.params().get("weight")) and len(weight) == 4:
            whole = layer.input == plan.input and weight[1] == plan.input[0]
            return f"{name}.weight" if whole else ""
    return ""


def _misfit_channels(
    first: str, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]
) -> tuple[tuple[str, int, int], ...]:
    """The first convolution's (name, channels there, channels here) where only they differ."""
    if first not in theirs or first not in ours:
        return ()
    its, mine = tuple(theirs[first].shape), tuple(ours[first].shape)
    alike = len(its) == 4 and its[0] == mine[0] and its[2:] == mine[2:] and its[1] != mine[1]
    return ((first, its[1], mine[1]),) if alike else ()


def adapted_channels(weight: Tensor, channels: int) -> Tensor:
    """A convolution's weight (o, c, h, w) for images of other channels, (o, channels, h, w).

    For one channel the sum over all, which sees a grey image as the old weight sees it in colour.
    For others the channels over again, times c / channels, so that the sum stays about the same
    (as timm does).
    """
    if channels == 1:
        return weight.sum(1, keepdim=True)
    old = weight.shape[1]
    repeated = weight.repeat(1, -(-channels // old), 1, 1)[:, :channels]
    return repeated * (old / channels)


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
