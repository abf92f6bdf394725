"""A spec -> the network that is trained: its module, its cost and the verdict of its proof."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resgen.cost import Cost, cost
from resgen.cost.books import cost_of_block, cost_of_layers
from resgen.cost.memory import training_step
from resgen.errors import CheckFailed, UserError, each
from resgen.plan import Layer, Plan, resolve
from resgen.plan.layers import BatchNorm, EvoNormB0
from resgen.proof import proof
from resgen.spec import Spec, load_spec
from resgen.spec.loading import CHECKPOINTS, RUN_SPEC, resolved_data
from resgen.train.data.images import Wanted
from resgen.train.data.seeds import derive
from resgen.train.device.compiling import Work
from resgen.train.recipe import Recipe
from resgen.train.recipe.parts import Frozen, Part, Parts, frozen
from resgen.weights import LoadReport, init_from
from resgen.weights.loading import Head

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """What training needs to know of a network: its spec, its Plan, and what follows from them."""

    spec: dict[str, Any]
    """The full spec as plain values, that needs no other file: what a checkpoint is known by."""
    plan: Plan = field(repr=False)
    """For images of the size tested on."""
    trained: Plan = field(repr=False)
    """For images of the size trained on."""
    references: tuple[str, ...] = ()
    """What its spec was checked against, before any overrides: `torchvision:resnet50`."""

    @property
    def name(self) -> str:
        """Its spec's."""
        return self.plan.name

    @property
    def channels(self) -> int:
        """Of its images."""
        return self.plan.input[0]

    @property
    def size(self) -> tuple[int, int]:
        """Of the images tested on."""
        _, *size = self.plan.input
        return size[0], size[1]

    @property
    def train_size(self) -> tuple[int, int]:
        """Of the images trained on."""
        _, *size = self.trained.input
        return size[0], size[1]

    @property
    def classes(self) -> int:
        """That it tells apart."""
        return self.plan.classes

    @cached_property
    def books(self) -> Cost:
        """Params and MACs of the network, for one image."""
        return cost(self.plan)

    @property
    def params(self) -> int:
        """All of them."""
        return self.books.params

    @property
    def macs(self) -> int:
        """For one image of `size`."""
        return self.books.macs

    @cached_property
    def train_macs(self) -> int:
        """For one image of `train_size`."""
        return self.macs if self.trained is self.plan else cost(self.trained).macs

    @cached_property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of each parameter."""
        return tuple((name, tuple(shape)) for name, shape in self.plan.named_parameters())

    @cached_property
    def parts(self) -> Parts:
        """From the input on; their MACs for one image of `train_size`."""
        return parts_of(self.trained)

    @cached_property
    def least_images(self) -> int:
        """At a time in training: two where a batch norm sees one value a channel of an image."""
        return _least_images(self.trained)

    def step_bytes(
        self, batch: int, precision: str, optimizer: str, freeze: Sequence[str] = ()
    ) -> int:
        """The closed form of a step's peak memory, with what `freeze` names held still."""
        still = frozen(freeze, self.parts, self.name)
        return training_step(
            self.trained, batch, precision, optimizer,
            frozen=still.leading(self.parts), still=still.holds,
        ).peak  # fmt: skip

    def make(self) -> nn.Module:
        """The module, with weights drawn by torch's own generator."""
        from resgen.source.module import build_module

        return build_module(self.plan)

    def prove(self, module: nn.Module) -> list[tuple[bool, str]]:
        """(holds, sentence) for each part of the proof."""
        return [(check.holds, check.text) for check in proof.prove(self.plan, module).checks]

    def init(self, module: nn.Module, path: Path, head: Head) -> LoadReport:
        """Gives a module the weights of a file; what became of each name."""
        return init_from(module, self.plan, path, head=head, channels="adapt")

    def frozen(self, recipe: Recipe) -> Frozen:
        """What a recipe freezes of it. Raises UserError where it has no such part."""
        return frozen(recipe.freeze, self.parts, self.name)

    def wanted(self, data: Wanted) -> Wanted:
        """The data as this network takes it."""
        return replace(data, channels=self.channels, size=self.size, classes=self.classes)

    def check_batch(self, batch: int, parts: int) -> None:
        """Raises UserError where the smallest part of a batch is too small to train on."""
        least = batch // parts
        if least < self.least_images:
            raise UserError(
                f"{self.name}: its smallest images are 1x1, and a batch norm needs two of them at "
                f"a time in training; the batch of {batch} gives it {least}: raise batch"
            )

    def work(
        self, recipe: Recipe, steps: int, *, processes: int = 1, recompute: str = "off"
    ) -> Work:
        """How much a run computes: in a step 2 FLOPs a MAC of a process's images, both ways."""
        macs = self.train_macs + self.frozen(recipe).backward_macs(self.parts)
        whole = processes == recipe.accumulate == 1 and recompute == "off"
        return Work(steps, 2 * macs * recipe.batch / processes, whole)

    def module(self, seed: int) -> nn.Module:
        """The module with the initial weights of a seed."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "weights"))
            return self.make()

    def check_weights(self, path: Path, head: Head) -> LoadReport:
        """Raises UserError where `init` would; the module takes no memory for it."""
        import torch

        with torch.device("meta"):
            module = self.make()
        return self.init(module, path, head)

    def verdict(self, module: nn.Module) -> str:
        """One line on the proof. Raises CheckFailed with the first difference."""
        checks = self.prove(module)
        for holds, text in checks:
            if not holds:
                raise CheckFailed(f"{self.name}: not trained, as its proof fails: {text}")
        return f"proof holds in all {len(checks)} parts"


Source = Spec | str | os.PathLike[str] | Mapping[str, Any]
"""A Spec, or what one is loaded from."""


def load(
    source: Source, *, overrides: Sequence[str] = (), train_side: int | None = None
) -> Network:
    """The network of a Spec, a spec file, a shipped name, ..., overrides in it.

    `train_side` is that of the images trained on, where it is not the network's own.
    """
    spec = load_spec(source, overrides)
    plan = resolve(spec)
    trained = plan
    if train_side is not None:
        trained = at_size(spec, (train_side, train_side), f"augment.size {train_side}")
    named = (load_spec(source) if overrides else spec).reference
    return Network(resolved_data(spec), plan, trained, named)


def parts_of(plan: Plan) -> Parts:
    """Stem, blocks and head of a Plan."""

    def end(name: str, only: Plan, layers: tuple[Layer, ...]) -> Part:
        names = tuple(each for each, _ in only.named_layers() if each)
        parameters = tuple(each for each, _ in only.named_parameters())
        return Part(name, names, parameters, cost_of_layers(layers).macs)

    inside: dict[str, list[str]] = {}
    for name, _ in replace(plan, stem=(), head=()).named_parameters():
        stage, block, _ = name.split(".", 2)
        inside.setdefault(f"{stage}.{block}", []).append(name)
    blocks = [
        Part(f"{stage.name}.{number}", (), tuple(inside.get(f"{stage.name}.{number}", ())), macs)
        for stage in plan.stages
        for run in stage.runs
        for macs in [cost_of_block(run.block).macs]
        for number in range(run.first, run.first + run.count)
    ]
    stem = end("stem", replace(plan, stages=(), head=()), plan.stem)
    head = end("head", replace(plan, stages=(), stem=()), plan.head)
    return Parts((stem, *blocks, head))


def at_size(spec: Spec, size: tuple[int, int], said: str) -> Plan:
    """The Plan of a network for images of another size; `said` is what asked for them."""
    shown = spec.input.model_copy(update={"size": size})
    try:
        return resolve(spec.model_copy(update={"input": shown}))
    except UserError as error:
        raise UserError(f"{said}: too small for {spec.name}: {error}") from None


def written_out(saved: dict[str, Any]) -> dict[str, Any]:
    """The spec of a checkpoint as `Network.spec` has it; earlier ones hold what was typed."""
    own = {key: value for key, value in saved.items() if key != "extends"}  # and is in it
    try:
        return resolved_data(load_spec(own))
    except UserError:
        return saved


def refuse_checkpoints(paths_or_names: list[str]) -> None:
    """Raises UserError where a network to train from a new draw is named by a trained one."""
    for name in paths_or_names:
        path = Path(name)
        run = (path / RUN_SPEC).is_file()
        if path.suffix in CHECKPOINTS or run:
            what, folder = ("run folder", path) if run else ("checkpoint", path.parent)
            option, beside = shlex.join(["--init-from", name]), folder / RUN_SPEC
            write = shlex.join(["resgen", "build", name, "-o", "net.yaml"])
            spec = str(beside) if beside.exists() else f"{write} writes one"
            raise UserError(
                f"{path}: a {what} names its network only, and training would begin from new "
                f"weights; add {option} to begin from its weights, or name the network by its "
                f"spec ({spec})"
            )


def _least_images(plan: Plan) -> int:
    """One value has no variance: a batch norm over 1x1 images needs two of them."""
    blocks = [run.block.layers for stage in plan.stages for run in stage.runs]
    layers = chain(plan.stem, plan.head, *blocks)
    single = any(
        isinstance(at.op, BatchNorm | EvoNormB0) and at.output[1:] == (1, 1) for at in layers
    )
    return 2 if single else 1


def load_all(
    sources: Sequence[Source], *, overrides: Sequence[str] = (), train_side: int | None = None
) -> list[Network]:
    """Several networks, the same overrides in all.

    Raises UserError where two have one name, and so one folder.
    """
    networks = each(
        lambda source: load(source, overrides=overrides, train_side=train_side), sources
    )
    names = [network.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two specs are named {name}; their runs would share one folder")
        if Path(name).name != name:
            raise UserError(f"{name!r}: this name cannot be a folder's")
    return networks
