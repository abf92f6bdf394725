"""A run folder or a checkpoint -> a trained network, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from resgen.errors import UserError
from resgen.files import kind
from resgen.inference.sources import check
from resgen.plan import Plan, resolve
from resgen.source.module import build_undrawn
from resgen.spec import Spec
from resgen.spec.loading import CHECKPOINTS, spec_of
from resgen.tensors import checkpoint, formats
from resgen.train.data.folder import IMAGENET
from resgen.train.data.preparing import Preparation
from resgen.train.device.engine import Engine
from resgen.train.run.network import at_size
from resgen.weights import load_weights
from resgen.words import joined


@dataclass(frozen=True)
class Origin:
    """What the network was trained on, as far as its checkpoint says it."""

    data: str
    """`digits`, `folder:NAME`."""
    place: str
    """The name with the path; empty where that is not known."""
    train: int
    heldout: int
    files: Tensor | None
    """The names of its training and held-out files, packed."""


@dataclass(frozen=True)
class Trained:
    """A network with the weights that its errors were measured with."""

    label: str
    file: Path
    spec: Spec
    plan: Plan
    weights: Mapping[str, Tensor] = field(repr=False)
    which: Literal["averaged", "last"]
    """Of the weights: the run's average, or those of the last step."""
    step: int | None
    """None, as is the epoch, in a file that was written for others."""
    epoch: float | None
    classes: tuple[str, ...]
    preparation: Preparation
    batch: int
    precision: str | None
    """In which its errors were measured; None where the checkpoint does not say."""
    loss: Literal["cross-entropy", "binary"]
    origin: Origin

    @property
    def said(self) -> str:
        """`averaged weights of epoch 24`."""
        if self.epoch is None:
            return f"{self.which} weights"
        words = "averaged weights" if self.which == "averaged" else "weights"
        return f"{words} of epoch {self.epoch:.4g}"

    def at(self, size: tuple[int, int] | None, crop: float | None) -> Trained:
        """The same, tested at another size or crop.

        Raises UserError where the network has no such size, or weights of another shape there.
        """
        prepared = self.preparation
        if crop is not None:
            prepared = replace(prepared, crop=crop, small="cropped")
        if size is None or size == prepared.size:
            return replace(self, preparation=prepared)
        said = f"--size {_shown(size)}"
        plan = at_size(self.spec, size, said)
        own = dict(self.plan.named_parameters())
        for name, shape in plan.named_parameters():
            if own.get(name) != shape:
                raise UserError(
                    f"{said}: {self.plan.name} has {name} of {tuple(shape)} at this size and its "
                    f"weights are for {_shown(prepared.size)}; leave --size out"
                )
        return replace(self, plan=plan, preparation=replace(prepared, size=size))

    def module(self, engine: Engine) -> nn.Module:
        """The module with its weights on the device, in evaluation mode."""
        module = build_undrawn(self.plan)
        load_weights(module, self.plan, self.weights, file=str(self.file))
        placed: nn.Module = module.to(engine.device, memory_format=engine.memory_format)  # type: ignore[call-overload]
        return placed.eval()


def _shown(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))


def labels(sources: Sequence[str]) -> list[str]:
    """What each is called in a table: as short as tells them apart."""
    for name in (_name, lambda path: f"{path.parent.name}/{path.name}".lstrip("/")):
        short = [name(Path(source).absolute()) for source in sources]
        if len({*short}) == len(short):
            return short
    return list(sources)


def _name(path: Path) -> str:
    """`resnet20`, `resnet20/best.pt`, `resnet20/seed-1`."""
    of_all = path.name in (checkpoint.LAST, checkpoint.PREVIOUS, checkpoint.BEST)
    if of_all or path.name.startswith("seed-"):
        return f"{path.parent.name}/{path.name}"
    return path.name


def read(source: str, label: str = "") -> Trained:
    """The network of a run folder, whose last weights are taken, a checkpoint or an export of one.

    Raises UserError for what has no weights, or does not say what they are of.
    """
    path = Path(source)
    check(source)
    file = checkpoint.file_of(path)
    if kind(file) == "folder":
        raise UserError(f"{path}: a folder without {checkpoint.LAST}; give a run folder")
    if file.suffix not in CHECKPOINTS:
        raise UserError(f"{path}: no checkpoint of a run, which end in {joined(CHECKPOINTS, 'or')}")
    kept = _kept(file)
    spec = spec_of(kept.network, file)
    plan, data = resolve(spec), kept.data
    train, batch = (_number(data, key, file) for key in ("train", "batch"))
    origin = Origin(
        str(data.get("name")), kept.place, train, _number(data, "heldout", file), kept.files
    )
    epoch = None if kept.step is None else kept.step / max(1, train // batch)
    return Trained(
        label or labels([source])[0], file, spec, plan, kept.weights, kept.which, kept.step,
        epoch, _classes(data, plan, file), _preparation(data, spec, file), min(512, batch),
        data.get("precision"),
        "binary" if data.get("loss") == "binary" else "cross-entropy", origin,
    )  # fmt: skip


class _Kept(NamedTuple):
    """What a file says of a trained network."""

    network: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    which: Literal["averaged", "last"]
    data: Mapping[str, Any]
    step: int | None
    place: str
    files: Tensor | None


def _kept(file: Path) -> _Kept:
    if file.suffix == ".safetensors":
        return _exported(file)
    state = checkpoint.load(file)
    return _Kept(
        state["network"], checkpoint.weights_for_use(state),
        checkpoint.which_for_use(state),
        checkpoint.data_for_use(state), state["step"], _place(state), state.get("files"),
    )  # fmt: skip


def _exported(file: Path) -> _Kept:
    """Of a .safetensors file that `resgen build` wrote from a run."""
    network = formats.network(file)
    weights, metadata = formats.read_trained(file)
    if metadata.which == "drawn" or metadata.data is None:
        raise UserError(
            f"{file}: its weights are not of a training run; train from them with --init-from"
        )
    name = str(metadata.data["name"])
    place = "" if name.startswith("folder:") else name
    return _Kept(network, weights, metadata.which, metadata.data, None, place, None)


def _place(state: Mapping[str, Any]) -> str:
    """Where a run's images lie; not known of class folders by the first checkpoints."""
    if (judged := state.get("judged")) is not None:
        return str(judged["data"])
    name = str(state["data"].get("name"))
    return "" if name.startswith("folder:") else name


def _preparation(data: Mapping[str, Any], spec: Spec, file: Path) -> Preparation:
    mean, std = (_numbers(data, key, file) for key in ("mean", "std"))
    crop = data.get("crop")
    if "crop" not in data and (mean, std) == IMAGENET:
        # The first checkpoints do not say it: sets too large for memory had these statistics.
        crop = float(data.get("test_crop", 0.875))
    height, width = spec.input.size
    return Preparation(
        (height, width), spec.input.channels, mean, std, crop,
        data.get("interpolation", "bilinear"), data.get("small", "cropped"),
    )  # fmt: skip


def _number(values: Mapping[str, Any], key: str, file: Path) -> int:
    found = values.get(key)
    if type(found) is not int or found < 1:
        raise UserError(f"{file}: does not say the number {key} of its run")
    return found


def _numbers(values: Mapping[str, Any], key: str, file: Path) -> tuple[float, ...]:
    found = values.get(key)
    if not isinstance(found, list) or len(found) not in (1, 3):
        raise UserError(
            f"{file}: does not say the {key} of its images' channels, which its network needs"
        )
    return tuple(map(float, found))


def _classes(data: Mapping[str, Any], plan: Plan, file: Path) -> tuple[str, ...]:
    found = data.get("classes")
    names = tuple(map(str, found if isinstance(found, list) else range(plan.classes)))
    if len(names) != plan.classes:
        raise UserError(
            f"{file}: names {len(names)} classes, and its network {plan.name} has {plan.classes}"
        )
    return names
