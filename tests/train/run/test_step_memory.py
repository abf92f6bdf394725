"""What a step takes, recomputed blocks, and pieces that fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from resgen import load_spec, resolve
from resgen.cost.memory import training_step
from resgen.tensors import checkpoint
from resgen.train.device.engine import Engine
from resgen.train.device.recompute import recompute_blocks
from resgen.train.run import fit, runs
from resgen.train.run.freezing import freeze
from resgen.train.run.network import Network
from tests.training import recipe

Make = Callable[..., runs.Job]


def network_of(job: Make, spec: str) -> Network:
    return job(specs=[spec]).networks[0]


def test_recomputed_blocks_change_nothing_but_memory(job: Make, cpu: Engine) -> None:
    network = network_of(job, "digits/resnet20")
    images, labels = torch.rand(8, 1, 8, 8), torch.arange(8)
    results = []
    for how in ("kept", "recomputed"):
        module = network.module(0)
        names = list(module.state_dict())
        if how == "recomputed":
            assert recompute_blocks(module) == 9
            assert list(module.state_dict()) == names
        F.cross_entropy(module(images), labels).backward()
        gradients = [p.grad for p in module.parameters()]
        results.append((gradients, [b.clone() for b in module.buffers()]))
    for one, other in zip(*(grads + buffers for grads, buffers in results), strict=True):
        assert torch.equal(one, other)
    kept = fit.measure(network.module(0), network, recipe(), cpu)
    module = network.module(0)
    recompute_blocks(module)
    again = fit.measure(module, network, recipe(), cpu)
    assert again.fixed == kept.fixed
    assert again.image < kept.image / 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("spec", ["digits/plain56", "cifar/resnet20"])
def test_measured_memory_is_the_closed_forms(job: Make, spec: str, precision: str) -> None:
    network = network_of(job, spec)
    motor = Engine(torch.device("cpu"), precision, "channels_last", "off")  # type: ignore[arg-type]
    need = fit.measure(network.module(0), network, recipe(), motor)
    foreseen = network.step_bytes(256, precision, "momentum")
    assert need.step(256) == pytest.approx(foreseen, rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "names", [["stem"], ["stem", "layer1"], ["stem", "layer1", "layer2.0"], ["backbone"]]
)
def test_measured_memory_with_frozen_parts_is_the_closed_forms(
    job: Make, names: list[str], precision: str
) -> None:
    network = network_of(job, "cifar/resnet20")
    motor = Engine(torch.device("cpu"), precision, "channels_last", "off")  # type: ignore[arg-type]
    chosen, module = recipe(freeze=names), network.module(0)
    still = network.frozen(chosen)
    freeze(module, still)
    need = fit.measure(module, network, chosen, motor)
    step = training_step(
        resolve(load_spec("cifar/resnet20")), 256, precision, "momentum",
        frozen=still.leading(network.parts), still=still.holds,
    )  # fmt: skip
    assert need.image == pytest.approx(step.kept_image, rel=0.02, abs=64)  # the loss
    assert need.fixed == step.weights + step.gradients + step.state
    assert step.peak == network.step_bytes(256, precision, "momentum", names)
    assert step.peak < network.step_bytes(256, precision, "momentum")


def test_recomputing_with_an_average_trains_the_same_network(job: Make) -> None:
    both = [
        job(how, recipe_={"length": "5 steps", "ema": {"decay": 0.5}}, recompute=how)
        for how in ("off", "blocks")
    ]
    for each in both:
        runs.train(each)
    kept, again = (checkpoint.load(each.settings.out / "last.pt") for each in both)
    for part in ("model", "average"):
        assert checkpoint.digest({"x": kept[part]}) == checkpoint.digest({"x": again[part]})


def test_pieces_are_the_fewest_that_fit() -> None:
    need = fit.Need(fixed=100, image=10)
    assert fit.pieces_that_fit(need, 64, 2000) == 1
    assert fit.pieces_that_fit(need, 64, 500) == 2
    tried: list[int] = []

    def works(images: int) -> bool:
        tried.append(images)
        return images <= 10

    assert fit.pieces_that_fit(need, 64, 10**6, works) == 8
    assert tried == [64, 32, 16, 8]
    with pytest.raises(fit.UserError, match="not even one image fits"):
        fit.pieces_that_fit(need, 64, 50)


def test_batch_auto_keeps_the_global_batch(
    job: Make, monkeypatch: pytest.MonkeyPatch, cpu: Engine
) -> None:
    chosen = job(batch="auto")
    need = fit.measure(chosen.networks[0].module(0), chosen.networks[0], chosen.recipe, cpu)
    monkeypatch.setattr(fit.machine, "free_memory", lambda _: int(need.step(40) / fit.SHARE))
    runs.train(chosen)
    state = checkpoint.load(chosen.settings.out / "last.pt")
    assert (state["recipe"]["batch"], state["recipe"]["accumulate"]) == (128, 4)
    # Resumed with more memory, the run goes on in the pieces it was begun with.
    monkeypatch.setattr(fit.machine, "free_memory", lambda _: 2**40)
    runs.train(job(batch="auto", start="resume"))
