"""A file of published weights -> a module of ours; nothing is silently left out.

Our names are torchvision's and timm's for ResNet, ResNeXt, wide, D, S, SE, ECA, RS and
antialiased networks, whose files load as they are. Where the libraries name things
otherwise (RegNet, pre-activation), a key map says how; see KEY_MAPS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from resgen.errors import UserError
from resgen.plan import Plan
from resgen.plan.layers import Linear

if TYPE_CHECKING:
    from torch import Tensor, nn

Shape = tuple[int, ...]


class Row(NamedTuple):
    """One renaming: where the pattern stands, `name` with the numbers found, each shifted."""

    pattern: str
    name: str
    shift: tuple[int, ...] = ()

    def rename(self, key: str) -> str:
        """The key with the first place of the pattern renamed."""

        def named(match: re.Match[str]) -> str:
            numbers = zip(match.groups(), self.shift, strict=True)
            return self.name.format(*(int(text) + by for text, by in numbers))

        return re.sub(self.pattern, named, key, count=1)


_CLASSIFIER = Row(r"^head\.fc\.", "fc.")

_TIMM_RESNETV2 = (
    Row(r"^stem\.conv\.", "conv1."),
    Row(r"^stem\.norm\.", "bn1."),
    Row(r"^stem\.conv1\.", "conv1.0."),
    Row(r"^stem\.norm1\.", "conv1.1."),
    Row(r"^stem\.conv2\.", "conv1.3."),
    Row(r"^stem\.norm2\.", "conv1.4."),
    Row(r"^stem\.conv3\.", "conv1.6."),
    Row(r"^stages\.(\d+)\.blocks\.(\d+)\.", "layer{}.{}.", (1, 0)),
    Row(r"\.norm(\d)\.", ".bn{}.", (0,)),
    Row(r"^norm\.", "final_bn."),
    _CLASSIFIER,
)

KEY_MAPS: dict[str, tuple[Row, ...]] = {
    "as they are": (),
    "torchvision RegNet": (
        Row(r"^stem\.0\.", "conv1."),
        Row(r"^stem\.1\.", "bn1."),
        Row(r"^trunk_output\.block(\d+)\.block\d+-(\d+)\.", "layer{}.{}.", (0, 0)),
        Row(r"\.proj\.(\d)\.", ".downsample.{}.", (0,)),
        Row(r"\.f\.a\.0\.", ".conv1."),
        Row(r"\.f\.a\.1\.", ".bn1."),
        Row(r"\.f\.b\.0\.", ".conv2."),
        Row(r"\.f\.b\.1\.", ".bn2."),
        Row(r"\.f\.se\.", ".se."),
        Row(r"\.f\.c\.0\.", ".conv3."),
        Row(r"\.f\.c\.1\.", ".bn3."),
    ),
    "timm RegNet": (
        Row(r"^stem\.conv\.", "conv1."),
        Row(r"^stem\.bn\.", "bn1."),
        Row(r"^stem\.(?=weight)", "conv1."),
        Row(r"^s(\d+)\.b(\d+)\.", "layer{}.{}.", (0, -1)),
        Row(r"\.downsample\.(?=weight)", ".downsample.0."),
        Row(r"\.downsample\.conv\.", ".downsample.0."),
        Row(r"\.downsample\.bn\.", ".downsample.1."),
        Row(r"\.downsample\.1\.conv\.", ".downsample.1."),
        Row(r"\.downsample\.1\.bn\.", ".downsample.2."),
        Row(r"\.conv(\d)\.conv\.", ".conv{}.", (0,)),
        Row(r"\.conv(\d)\.bn\.", ".bn{}.", (0,)),
        Row(r"\.norm(\d)\.", ".bn{}.", (0,)),
        Row(r"^final_conv\.conv\.", "head_conv."),
        Row(r"^final_conv\.bn\.", "head_bn."),
        _CLASSIFIER,
    ),
    "timm ResNetV2": (*_TIMM_RESNETV2, Row(r"\.downsample\.conv\.", ".downsample.0.")),
    "timm ResNetV2, pooled shortcuts": (
        *_TIMM_RESNETV2,
        Row(r"\.downsample\.conv\.", ".downsample.1."),
    ),
}

# What wrappers of a module put before its names.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")

# Where training programs keep the weights inside a larger checkpoint.
_HOLDERS = ("state_dict", "model_state_dict", "model")


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
    which: Literal["averaged", "last"] = "last"

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

    With `head="drop"` the classifier keeps its own initial weights, whatever the file
    has for one. Raises UserError, and changes nothing, where any other name of the file or
    of the module finds no partner of its shape.
    """
    weights, which = _read(path)
    return load_weights(module, plan, weights, file=str(path), head=head)._replace(which=which)


def load_weights(
    module: nn.Module,
    plan: Plan,
    weights: Mapping[str, Tensor],
    *,
    file: str = "the weights",
    head: Literal["keep", "drop"] = "keep",
) -> LoadReport:
    """`init_from` for weights already in memory."""
    ours: dict[str, Tensor] = {_WRAPPERS.sub("", k): v for k, v in module.state_dict().items()}
    key_map, theirs = _renamed(weights, ours.keys())
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


def rename(key: str, rows: Sequence[Row]) -> str:
    """A name of a file as ours: wrappers stripped, then every row in turn."""
    key = _WRAPPERS.sub("", key)
    for row in rows:
        key = row.rename(key)
    return key


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
        name
        for name in report.missing
        if name not in dropped and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in report.unexpected if name not in dropped]
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
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a `.safetensors` file, or of one that torch saved.

    Nothing in the file is run. Of a checkpoint of ours it takes what was judged: the averaged
    weights, if there are any. Raises UserError for one that cannot be read or holds none.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Tensor], Literal["averaged", "last"]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    import torch

    from resgen.tensors import checkpoint

    try:
        if path.suffix == ".safetensors":
            content = _read_safetensors(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: no readable file of weights: {reason[:200]}") from None
    content, which = checkpoint.judged(content)
    for key in _HOLDERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    items = content.items() if isinstance(content, Mapping) else ()
    tensors = {n: v for n, v in items if isinstance(n, str) and isinstance(v, torch.Tensor)}
    if not tensors:
        raise UserError(f"{path}: holds no weights: a mapping of names to tensors is wanted")
    return tensors, which


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise UserError(
            f"{path}: reading .safetensors needs the package: pip install safetensors"
        ) from None
    return load_file(path)
