"""What a checkpoint may hold, and that processes count together across one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resgen.errors import Diverged, UserError
from resgen.tensors import checkpoint
from resgen.train.device.processes import World
from resgen.train.run import loop, runs, trainer
from resgen.train.run.counting import Count, Means
from resgen.train.run.log import Log
from resgen.train.run.loop import Stepper
from resgen.train.run.network import Network
from resgen.train.run.setup import made_ready
from resgen.train.run.state import State
from resgen.train.run.trainer import Trainer
from resgen.weights import LoadReport

Make = Callable[..., runs.Job]


@dataclass(frozen=True)
class One(World):
    """One of two processes, whose sums are written out."""

    states: dict[int, State] = field(default_factory=dict)

    def sum(self, tensor: Tensor) -> Tensor:
        other = self.states[1 - self.rank].count.sums
        if tensor.dim() == 2:
            tensor[1 - self.rank] += other
        else:
            tensor += other
        return tensor

    def largest(self, *numbers: int) -> list[int]:
        return list(numbers)

    def wait(self) -> None:
        pass


def two(job: Make, **keys: Any) -> dict[int, State]:
    """The states of two processes of one run."""
    made = job(recipe_={"batch": 8}, **keys)
    setup = made_ready(made, made.networks[0], {})
    made.settings.out.mkdir(exist_ok=True)
    states: dict[int, State] = {}
    for rank in range(2):
        world = One(rank=rank, size=2, states=states)
        states[rank] = State(replace(setup, world=world), setup.network.module(0))
    return states


def test_the_window_of_the_warm_up_is_that_of_all_processes_across_a_resume(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {rank: torch.tensor([3.0, 40.0 + rank, 400.0]) for rank in range(2)}
    then = {rank: torch.tensor([1.0, 9.0 - rank, 300.0]) for rank in range(2)}
    seen: list[list[float]] = []
    read = Count.read

    def spied(count: Count) -> Means:
        seen.append(count.sums.tolist())
        return read(count)

    monkeypatch.setattr(Count, "read", spied)

    def look(state: State) -> None:
        recipe = state.setup.recipe
        until = {"warmup": None, "warmup_until_error": 0.001, "warmup_from": 0.1}
        schedule = recipe.schedule.model_copy(update=until)
        bare = object.__new__(Trainer)
        recipe = recipe.model_copy(update={"schedule": schedule})
        bare.setup, bare.state = replace(state.setup, recipe=recipe), state
        state.step = trainer.ERROR_WINDOW
        bare._watch_warmup()

    states = two(job)
    for rank, state in states.items():
        state.count.sums.add_(first[rank])
    for state in states.values():
        look(state)
    states[0].save()
    saved = checkpoint.load(states[0].setup.folder / checkpoint.LAST)
    resumed = two(job)
    for rank, state in resumed.items():
        state.restore(saved)
        assert state.count.sums.tolist() == first[rank].tolist()
    for rank, state in resumed.items():
        state.count.sums.add_(then[rank])
    for state in resumed.values():
        look(state)
    assert seen == [(first[0] + first[1]).tolist()] * 2 + [(then[0] + then[1]).tolist()] * 2


def test_another_number_of_processes_goes_on_with_the_whole_count(job: Make) -> None:
    states = two(job)
    for rank, state in states.items():
        state.count.sums.add_(torch.tensor([1.0, 2.0, 3.0 + rank]))
    states[0].save()
    saved = checkpoint.load(states[0].setup.folder / checkpoint.LAST)
    setup = states[0].setup
    alone = State(replace(setup, world=World()), setup.network.module(0))
    alone.restore(saved)
    assert alone.count.sums.tolist() == [2, 4, 7]


def poisoned(job: Make, where: str) -> State:
    made = job(recipe_={"ema": {"decay": 0.9}, "optimizer": {"kind": "adamw", "lr": 1}})
    made.settings.out.mkdir()
    setup = made_ready(made, made.networks[0], {})
    state = State(setup, setup.network.module(0))
    for weight in state.module.parameters():
        weight.grad = torch.zeros_like(weight)
    state.optimizer.step()
    state.step = 1
    assert state.average is not None
    tensor = {
        "bn1.running_var": state.module.get_buffer("bn1.running_var"),
        "conv1.weight": state.module.get_parameter("conv1.weight"),
        "the average of conv1.weight": state.average.module.get_parameter("conv1.weight"),
        "the optimizer's exp_avg_sq of conv1.weight": state.optimizer.state[
            state.module.get_parameter("conv1.weight")
        ]["exp_avg_sq"],
    }[where]
    state.save()
    tensor.detach().flatten()[-1] = float("inf") if "sq" in where else float("nan")
    return state


@pytest.mark.parametrize(
    "where",
    [
        "bn1.running_var", "conv1.weight", "the average of conv1.weight",
        "the optimizer's exp_avg_sq of conv1.weight",
    ],
)  # fmt: skip
def test_what_is_no_number_is_named_and_never_written(job: Make, where: str) -> None:
    state = poisoned(job, where)
    last = state.setup.folder / checkpoint.LAST
    before = last.read_bytes()
    with pytest.raises(Diverged) as caught:
        state.save()
    assert f"tiny: {where} became NaN or infinite by step 1" in str(caught.value)
    assert last.read_bytes() == before


def test_large_numbers_are_numbers(job: Make) -> None:
    state = two(job)[0]
    with torch.no_grad():
        state.module.get_parameter("conv1.weight").fill_(1e30)  # its square is none
    assert state.bad() is None


def test_weights_to_start_from_that_are_no_numbers_are_refused_and_not_saved(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(1)}, "their.pth")

    def init(_: Network, module: nn.Module, path: Path, head: str) -> LoadReport:
        with torch.no_grad():
            module.get_parameter("conv1.weight")[0] = float("nan")
        return LoadReport("", (), (), (), ())

    made = job(init_from=Path("their.pth"))
    monkeypatch.setattr(Network, "init", init)
    with pytest.raises(UserError, match=r"their\.pth: conv1\.weight holds a NaN or infinity"):
        runs.train(made)
    assert not (made.settings.out / "last.pt").exists()


def test_a_checkpoint_that_holds_a_nan_is_refused(job: Make) -> None:
    short = {"length": "1 steps"}
    made = job(recipe_=short)
    runs.train(made)
    last = made.settings.out / "last.pt"
    state = checkpoint.load(last)
    state["model"]["conv1.weight"][0] = float("nan")
    checkpoint.save(state, made.settings.out)
    with pytest.raises(UserError, match=r"last\.pt: .* in which conv1\.weight"):
        runs.train(job(recipe_=short, start="resume"))


def test_numbers_within_an_epoch_are_those_of_all_processes(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    mine: list[list[float]] = []
    theirs = torch.tensor([64.0, 16.0, 128.0])
    show = Trainer._show

    def spied(trainer: Trainer) -> None:
        mine.append(trainer.state.count.sums.tolist())
        show(trainer)
        assert mine[-1] == trainer.state.count.sums.tolist()

    monkeypatch.setattr(Trainer, "_show", spied)
    monkeypatch.setattr(World, "sum", lambda _, tensor: tensor.add_(theirs))
    monkeypatch.setattr(Log, "wants_numbers", lambda _, step: step == 5)
    monkeypatch.setattr(Log, "step", lambda _, step, text=None: said.append(text) if text else None)
    runs.train(job(recipe_={"length": "6 steps"}))
    loss, errors, images = torch.tensor(mine[0]) + theirs
    (text,) = said
    assert text.startswith(f"loss {loss / images:.4f}, error {100 * errors / images:.2f} %, ")


def test_images_a_second_are_those_of_the_steps_alone(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    call, save = Stepper.__call__, checkpoint.save

    def step(*arguments: Any, **keys: Any) -> bool:
        now[0] += 1
        return call(*arguments, **keys)

    def slow(*arguments: Any, **keys: Any) -> None:
        now[0] += 1000
        save(*arguments, **keys)

    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Stepper, "__call__", step)
    monkeypatch.setattr(checkpoint, "save", slow)
    made = job(save_minutes=0.0, recipe_={"length": "4 steps"})
    runs.train(made)
    (row,) = trainer.metrics.read(made.settings.out)
    assert (row["seconds"], row["images_per_second"]) == (4, 128)
