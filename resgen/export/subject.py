"""What is written: a network, its weights where it was trained, and what it becomes by folding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from resgen.errors import CheckFailed, UserError
from resgen.files import kind
from resgen.plan import Plan, resolve
from resgen.plan.folding import Folded, fold
from resgen.proof import Check
from resgen.spec import Spec, load_spec
from resgen.spec.loading import CHECKPOINTS, resolved_data, spec_file, spec_of
from resgen.words import overridden

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from resgen.tensors.formats import Trained
    from resgen.tensors.metadata import Metadata
    from resgen.weights import Identified

SEED = 0
"""What the weights of a network that was not trained are drawn from."""

WITH_WEIGHTS = (".pt2", ".onnx", ".safetensors")


@dataclass(frozen=True)
class Subject:
    """A network to be written, and what its files are made of, each made when it is asked for."""

    source: str
    spec: Spec
    plan: Plan
    """Folded, where that is asked for."""
    folded: Folded | None = None
    trained: Trained | None = field(default=None, repr=False)
    file: Path | None = None
    """What the trained weights were read from."""
    misfit: str = ""
    """Why it is written without the weights it was named by."""
    identified: Identified | None = field(default=None, repr=False)
    """How the network was read from a file of weights that names none."""

    @cached_property
    def unfolded(self) -> Plan:
        """The Plan before folding."""
        return resolve(self.spec)

    @cached_property
    def whole(self) -> nn.Module:
        """The module before folding, in evaluation, with its weights or those of the seed."""
        import torch

        from resgen.source.module import build_module
        from resgen.weights import load_weights

        plan = self.unfolded
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            module = build_module(plan)
        if self.trained is not None and not self.trained.metadata.folded:
            load_weights(module, plan, self.trained.weights, file=self.source)
        return module.eval()

    @cached_property
    def module(self) -> nn.Module:
        """The module that is written, in evaluation."""
        if self.folded is None:
            return self.whole
        from resgen.export.folding import fold_into
        from resgen.source.module import build_undrawn
        from resgen.weights import load_weights

        module = build_undrawn(self.plan)
        if self.trained is not None and self.trained.metadata.folded:
            load_weights(module, self.plan, self.trained.weights, file=self.source)
        else:
            fold_into(module, self.whole, self.folded)
        return module.eval()

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Name -> tensor of the module, each whole in memory."""
        return {name: value.contiguous() for name, value in self.module.state_dict().items()}

    @cached_property
    def metadata(self) -> Metadata:
        """What is said beside the weights."""
        from resgen.tensors.metadata import Metadata

        known = self.trained.metadata if self.trained else None
        return Metadata(
            resolved_data(self.spec),
            known.which if known else "drawn",
            known.data if known else None,
            folded=self.folded is not None,
        )

    @cached_property
    def program(self) -> ExportedProgram:
        """The module as torch.export has it, for any number of images."""
        from resgen.export.tracing import export

        return export(self.module, self.plan)

    def images(self, count: int) -> Tensor:
        """So many images to compare outputs on: normal numbers, the same each time."""
        import torch

        draw = torch.Generator().manual_seed(SEED)
        return torch.randn(count, *self.plan.input, generator=draw)

    @cached_property
    def checks(self) -> list[Check]:
        """That folding changed nothing, where something was folded here."""
        if self.folded is None or (self.trained and self.trained.metadata.folded):
            return []
        from resgen.export.folding import check

        trained = self.trained is not None
        return [check(self.folded, self.whole, self.module, self.images(3), trained=trained)]

    def note(self, endings: Sequence[str]) -> str:
        """Where the weights are from, if files with these endings have any."""
        if self.trained is not None:
            averaged = "averaged " * (self.trained.metadata.which == "averaged")
            return f"{self.plan.name}: {averaged}weights of {self.file}"
        if self.misfit:
            return f"note: {self.misfit}; the network alone is written"
        if set(endings) & set(WITH_WEIGHTS):
            return (
                f"note: {self.source} names a network without weights; those written are newly "
                f"drawn (seed {SEED}), not trained"
            )
        return ""


def read(source: str, overrides: Sequence[str] = (), *, folding: bool = False) -> Subject:
    """A spec, a run folder, a checkpoint or another file of weights, as it is to be written.

    Weights that name no network are those of the network that their names and shapes say. Where
    weights have no place in it with the overrides, it is written without them. Raises UserError
    for what is none.
    """
    trained, path, misfit, found = None, Path(source), "", None
    if kind(path) == "folder":
        path = _last(path)
    if path.suffix in CHECKPOINTS and kind(path) == "file":
        trained, own, found = _weights(path)
        spec = load_spec(own, overrides)
        found = found.with_(spec, overrides) if found else None
        if trained is None:
            misfit = f"{source}: the shapes of its tensors say the network, but not which is which"
        elif misfit := _misfit(source, resolve(own), resolve(spec)):
            trained = None
    else:
        spec = load_spec(source, overrides)
    plan = resolve(spec)
    folding = folding or (trained is not None and trained.metadata.folded)
    folded = fold(plan) if folding else None
    if folded is not None and not folded.pairs:
        raise UserError(
            f"--fold: {spec.name} has no batch norm behind a convolution; leave --fold out"
        )
    plan = folded.plan if folded else plan
    return Subject(source, spec, plan, folded, trained, path, misfit, found)


def _weights(path: Path) -> tuple[Trained | None, Spec, Identified | None]:
    """The weights of a file, their network, and how that was read where the file does not say it.

    Weights that are known by their shapes alone have no place of their own in it: they are None.
    """
    from resgen.tensors.formats import Trained, read_any
    from resgen.tensors.metadata import Metadata

    weights, metadata = read_any(path)
    if metadata is not None:
        return Trained(weights, metadata), spec_of(metadata.network, path), None
    from resgen.weights import identified

    found = identified(path, weights)
    placed = found.found != "shapes"
    metadata = Metadata(resolved_data(found.spec), "last")
    return Trained(weights, metadata) if placed else None, found.spec, found


def _misfit(source: str, own: Plan, changed: Plan) -> str:
    """Why a changed network has no place for its trained weights; nothing where it has."""
    ours, theirs = dict(changed.named_parameters()), dict(own.named_parameters())
    for name in (*ours, *theirs):
        if ours.get(name) != theirs.get(name):
            return (
                f"{source}: with {overridden(changed.overrides)}, {name} is "
                f"{ours.get(name, 'not there')}, and its weights have {theirs.get(name, 'none')}"
            )
    return ""


def _last(folder: Path) -> Path:
    """The last checkpoint of a run folder, whose weights its errors were measured with."""
    spec = spec_file(folder)
    from resgen.tensors import checkpoint

    path = checkpoint.file_of(folder)
    if path == folder:
        raise UserError(f"{folder}: has no checkpoint yet; {spec} is its network without weights")
    return path


def enforce(checks: Sequence[Check], what: str) -> None:
    """Raises CheckFailed for the first that does not hold."""
    for each in checks:
        if not each.holds:
            raise CheckFailed(f"{what}: not written, as a check fails: {each.text}")
