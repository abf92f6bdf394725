"""When a network is compiled: by a run's length, its step and its device, and said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from resgen.errors import UserError
from resgen.train.device import engine
from resgen.train.device.compiling import FLOPS, STEPS, Work, advised
from resgen.train.device.engine import Engine
from resgen.train.recipe import read_recipe
from resgen.train.recipe.rate import Rate
from resgen.train.run import runs
from resgen.train.run.network import load

CUDA = torch.device("cuda", 0)
GPU = Engine(CUDA, "bf16", "channels_last", "auto")


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_compile_error", lambda _: "")


@pytest.mark.parametrize(
    ("spec", "recipe", "epoch", "word"),
    [
        ("digits/resnet20", "digits", 11, "off"),  # 264 steps
        ("cifar/resnet20", "cifar-short", 351, "graphs"),  # 31 GFLOPs a step
        ("imagenet/resnet50", "he2015-imagenet", 5004, "on"),  # 6 TFLOPs
    ],
)
@pytest.mark.usefixtures("compiler")
def test_compiled_is_what_is_long_enough(spec: str, recipe: str, epoch: int, word: str) -> None:
    chosen = read_recipe(recipe)
    work = load(spec).work(chosen, Rate(chosen, epoch).total)
    assert GPU.for_run(work).compile == word
    # Who asks for it has it.
    assert Engine(CUDA, "bf16", "channels_last", "on").for_run(work).compile == "on"
    assert Engine(CUDA, "bf16", "channels_last", "off").for_run(work).compile == "off"


def test_the_work_of_a_step_is_six_flops_a_mac() -> None:
    """Twice forward, and back once by the inputs and once by the weights."""
    net, recipe = load("cifar/resnet20"), read_recipe("cifar-short")
    assert net.work(recipe, 7) == Work(7, 6 * net.macs * recipe.batch, True)
    assert net.work(recipe, 7, processes=4).flops == 6 * net.macs * recipe.batch / 4


@pytest.mark.usefixtures("compiler")
def test_graphs_are_for_steps_of_one_piece_on_one_process() -> None:
    net, recipe = load("cifar/resnet20"), read_recipe("cifar-short")
    pieces = recipe.model_copy(update={"accumulate": 2})
    for work in (
        net.work(recipe, STEPS, processes=2), net.work(pieces, STEPS),
        net.work(recipe, STEPS, recompute="blocks"), Work(STEPS, 1.01 * FLOPS, True),
    ):  # fmt: skip
        assert advised(work)[0] == "on"
    assert advised(net.work(recipe, STEPS))[0] == "graphs"
    assert advised(net.work(recipe, STEPS - 1))[0] == "off"
    asked = Engine(CUDA, "bf16", "channels_last", "graphs")
    with pytest.raises(UserError, match="--compile graphs: for steps of one piece on one process"):
        asked.for_run(net.work(pieces, STEPS))


def test_graphs_are_cudas() -> None:
    with pytest.raises(UserError, match="--compile graphs: CUDA has them, and this is cpu"):
        engine.choose(device="cpu", compile="graphs")


def test_how_a_module_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def compiled(module: nn.Module, *, mode: str | None) -> nn.Module:
        asked.append(mode)
        return module

    monkeypatch.setattr(torch, "compile", compiled)
    begun: list[int] = []
    mark = "cudagraph_mark_step_begin"
    monkeypatch.setattr(torch.compiler, mark, lambda: begun.append(1))
    for word in ("off", "on", "graphs"):
        motor = Engine(CUDA, "fp32", "contiguous", word)  # type: ignore[arg-type]
        motor.called(nn.Identity())
        motor.begin_pass()
    assert (asked, begun) == ([None, "reduce-overhead"], [1])


@pytest.mark.usefixtures("compiler")
def test_what_was_decided_is_said_in_the_log_and_in_the_plan(
    job: Callable[..., runs.Job], command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(Engine, "called", lambda _, module: module)
    from dataclasses import replace

    made = job(voice="full", recipe_={"length": "1 steps"})
    runs.train(replace(made, engine=replace(made.engine, compile="auto")))
    said = "not compiled as 1 steps are over before it pays (from 2,500 on)"
    err = capsys.readouterr().err
    assert "compiled where it pays" in err
    assert said in err
    assert said in (made.settings.out / "environment.json").read_text()
    command("--plan", "--set", "length=1 steps")
    assert f"on CUDA {said}" in capsys.readouterr().out
    command("--plan", "--compile", "off")
    assert "on CUDA" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("capability", "bf16", "word"),
    [((8, 0), True, "bf16"), ((7, 5), False, "fp16"), ((7, 0), False, "fp16"),
     ((6, 1), False, "fp32")],
)  # fmt: skip
def test_a_gpu_without_bf16_takes_fp16_if_it_is_fast_there(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], bf16: bool, word: str
) -> None:
    monkeypatch.setattr(engine, "_device", lambda *_: CUDA)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert engine.choose(device="cuda").precision == word


def test_cudnn_tries_its_algorithms_only_where_shapes_are_fixed(cpu: Engine) -> None:
    assert not torch.backends.cudnn.benchmark
    with cpu.fixed_shapes():
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    try:
        with cpu.fixed_shapes():
            assert not torch.backends.cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_seed_is_torchs(cpu: Engine) -> None:
    torch.manual_seed(1)
    cpu.seed(7)
    mine = torch.rand(5)
    torch.manual_seed(7)
    assert torch.equal(mine, torch.rand(5))
