"""A trained network -> the file of a deeper or wider one that computes the same function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resgen.errors import UserError
from resgen.export.compare import TOLERANCE, difference
from resgen.export.subject import SEED, Subject, enforce, read
from resgen.plan import Plan, resolve
from resgen.plan.layers import Dropout, DropPath, Shake
from resgen.proof import Check
from resgen.spec import Spec, load_spec
from resgen.spec.loading import resolved_data

if TYPE_CHECKING:
    from torch import Tensor, nn

    from resgen.weights.deepening import Deepened, Exact

IMAGES = 8
"""To compare outputs on; a batch norm in training takes its statistics of them."""


@dataclass(frozen=True)
class Deeper:
    """The larger network with its weights, how they came about, and what was compared."""

    small: Subject
    large: Subject
    made: Deepened
    checks: list[Check]
    notes: list[str]


def trained(source: str, spec: str | None) -> Subject:
    """A trained network, of a file that names none by its spec. Raises UserError for any other."""
    if spec is not None:
        return _named(Path(source), load_spec(spec))
    subject = read(source)
    if subject.trained is None:
        raise UserError(
            f"{source}: names a network without weights; deepening starts from a trained one: "
            "a run folder, a checkpoint, or a file of weights with --spec"
        )
    if subject.folded is not None:
        raise UserError(f"{source}: its batch norms are folded; give the file it was made from")
    return subject


def _named(path: Path, spec: Spec) -> Subject:
    """The network of a spec with the weights of a file."""
    from resgen.source.module import build_undrawn
    from resgen.tensors.formats import Trained
    from resgen.tensors.metadata import Metadata
    from resgen.weights import init_from

    plan = resolve(spec)
    module = build_undrawn(plan)
    report = init_from(module, plan, path)
    weights = {name: value.detach() for name, value in module.state_dict().items()}
    metadata = Metadata(resolved_data(spec), report.which)
    return Subject(str(path), spec, plan, trained=Trained(weights, metadata), file=path)


def deeper(small: Subject, target: str, spec: Spec, *, exact: Exact, seed: int = SEED) -> Deeper:
    """The network of the spec with weights that make it the small one's function.

    Raises UserError where there are none, CheckFailed where outputs differ all the same.
    """
    import torch

    from resgen.source.module import build_module
    from resgen.tensors.formats import Trained
    from resgen.weights.deepening import deepen

    assert small.trained is not None
    plan, shallow = resolve(spec), small.module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = build_module(plan).state_dict()
    made = deepen(small.plan, shallow.state_dict(), plan, fresh, exact=exact, seed=seed)
    metadata = small.trained.metadata._replace(network=resolved_data(spec))
    large = Subject(target, spec, plan, trained=Trained(made.weights, metadata), file=small.file)
    checks, notes = _compared(small, large, made)
    enforce(checks, spec.name)
    return Deeper(small, large, made, checks, notes)


def _compared(small: Subject, large: Subject, made: Deepened) -> tuple[list[Check], list[str]]:
    """The outputs of both in evaluation and, where they are to be equal there, in training."""
    images = small.images(IMAGES)
    reason = ""
    if made.widened:
        reason = "; sums over copies of channels round otherwise"
    elif made.lifted:
        reason = "; lifted values round otherwise"
    checks = [_check("evaluation", _apart(small, large, images, training=False), reason)]
    apart = _apart(small, large, images, training=True)
    drawn = [plan.name for plan in (small.plan, large.plan) if _draws(plan)]
    if made.renormalizes:
        return checks, [
            f"note: not in training: there the batch norms of identity blocks take mean and "
            f"deviation of the batch (outputs differ by {apart:.1e} of the largest)"
            "; --exact training asks for weights that hold there"
        ]
    if drawn:
        return checks, [f"note: in training {drawn[-1]} drops at random, and is not compared"]
    return [*checks, _check("training", apart, reason)], []


def _check(mode: str, apart: float, reason: str) -> Check:
    allowed = TOLERANCE["deepen"]
    text = f"in {mode}, with {IMAGES} images: outputs differ by {apart:.1e} of the largest"
    if not apart:
        text = f"in {mode}, with {IMAGES} images: outputs differ by 0.0"
        reason = ""
    elif not reason:
        reason = "; this machine's convolutions round otherwise"
    return Check(mode, apart <= allowed, f"{text}{reason}")


def _apart(small: Subject, large: Subject, images: Tensor, *, training: bool) -> float:
    import torch

    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        found, wanted = (_outputs(each.module, images, training) for each in (large, small))
    return difference(found, wanted)


def _outputs(module: nn.Module, images: Tensor, training: bool) -> Tensor:
    """What a module puts out; its statistics stay as they are."""
    from copy import deepcopy

    outputs: Tensor = deepcopy(module).train(training)(images)
    return outputs


def _draws(plan: Plan) -> bool:
    return any(isinstance(at.op, Dropout | DropPath | Shake) for _, at in plan.named_layers())
