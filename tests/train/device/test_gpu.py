"""What only a GPU can show: fused and compiled steps, no waiting, NCCL, synchronized batch norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from resgen.errors import Diverged, Interrupted
from resgen.tensors import checkpoint
from resgen.train.data.augment import mix
from resgen.train.data.feed import Batch, MemoryFeed, Piece
from resgen.train.device import engine
from resgen.train.run import metrics, runs
from resgen.train.run.loop import Stepper
from resgen.train.run.metrics import without_times
from tests.train.device.test_processes import SPY, launch
from tests.train.run.test_resume import EVERYTHING, StopAt, assert_equal_bits

Make = Callable[..., runs.Job]
DEVICES = torch.cuda.device_count()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICES < 1, reason="needs a CUDA device; torch sees none here"),
]
needs_two = pytest.mark.skipif(DEVICES < 2, reason=f"needs two CUDA devices; torch sees {DEVICES}")


@pytest.fixture
def gpu() -> engine.Engine:
    return engine.choose(device="cuda", precision="fp32", compile="off")


@pytest.fixture
def on_gpu(job: Make, gpu: engine.Engine) -> Make:
    """A job of conftest's, moved to the GPU."""

    def make(*arguments: str, motor: engine.Engine = gpu, **keys: object) -> runs.Job:
        return replace(job(*arguments, **keys), engine=motor)

    return make


@contextmanager
def deterministic() -> Iterator[None]:
    engine.make_deterministic()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_gpu_trains_as_the_cpu_does(job: Make, on_gpu: Make) -> None:
    (one,), (other,) = runs.train(job("cpu")), runs.train(on_gpu("gpu"))
    assert one.last_error == pytest.approx(other.last_error, abs=0.03)
    rows = [metrics.read(job(name).settings.out)[0] for name in ("cpu", "gpu")]
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=0.01)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_run_ends_where_an_eager_one_does(on_gpu: Make, precision: str) -> None:
    losses = []
    for compile in ("off", "on"):
        motor = engine.choose(device="cuda", precision=precision, compile=compile)
        made = on_gpu(compile, motor=motor)
        runs.train(made)
        losses.append(metrics.read(made.settings.out)[0]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_run_in_cuda_graphs_ends_where_an_eager_one_does(on_gpu: Make) -> None:
    losses = []
    for compile in ("off", "graphs"):
        motor = engine.choose(device="cuda", precision="fp32", compile=compile)
        made = on_gpu(compile, motor=motor, recipe_={"ema": {"decay": 0.9}, "clip": 1.0})
        runs.train(made)
        losses.append(metrics.read(made.settings.out)[-1]["heldout_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_fp16_trains_as_fp32_does(on_gpu: Make) -> None:
    rows = []
    for precision in ("fp32", "fp16"):
        motor = engine.choose(device="cuda", precision=precision, compile="off")
        made = on_gpu(precision, motor=motor)
        runs.train(made)
        rows.append(metrics.read(made.settings.out)[0])
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=0.02)
    assert rows[1]["skipped_steps"] < 5


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("kind", ["sgd", "adamw", "lamb"])
def test_the_host_waits_for_nothing_within_the_loop(
    on_gpu: Make, kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Stepper.__call__

    def strict(stepper: Stepper, batches: object, *, step: int, rate: float) -> bool:
        # The first steps allocate the optimizer's state and choose algorithms.
        torch.cuda.set_sync_debug_mode("error" if step >= 3 else "default")
        try:
            return call(stepper, batches, step=step, rate=rate)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Stepper, "__call__", strict)
    recipe = {**EVERYTHING, "optimizer": {"kind": kind, "lr": 0.01, "weight_decay": 0.02}}
    # Random operations take their magnitudes to the host; torchvision's own doing.
    recipe["augment"] = {**EVERYTHING["augment"], "random": "none"}
    motor = engine.choose(device="cuda", precision=precision, compile="off")
    runs.train(on_gpu(recipe_=recipe, motor=motor))


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lamb"])
def test_a_bad_batch_is_dropped_on_the_device_and_its_step_named(
    on_gpu: Make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = MemoryFeed._augmented

    def poisoned(feed: MemoryFeed, piece: Piece) -> Batch:
        images, labels = normal(feed, piece)
        return Batch(images * float("nan") if piece.step == 14 else images, labels)

    seen: list[list[torch.Tensor]] = []
    call = Stepper.__call__

    def spied(stepper: Stepper, batches: object, *, step: int, rate: float) -> bool:
        if step in (14, 21):
            seen.append([p.detach().clone() for p in stepper.module.parameters()])
        return call(stepper, batches, step=step, rate=rate)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryFeed, "_augmented", poisoned)
    monkeypatch.setattr(Stepper, "__call__", spied)
    made = on_gpu(recipe_={"optimizer": {"kind": kind, "lr": 0.01, "weight_decay": 0.02}})
    with pytest.raises(Diverged, match=r"in step 15 at rate .*first bad layer is"):
        runs.train(made)
    # Steps after the bad one were taken before anyone looked; none of them moved a weight.
    assert len(seen) == 2
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))
    assert checkpoint.load(made.settings.out / "last.pt")["step"] == 11


def test_a_resumed_run_has_the_same_bits_when_asked_to(
    on_gpu: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deterministic():
        whole = on_gpu("whole", recipe_=EVERYTHING)
        runs.train(whole)
        with monkeypatch.context() as patch:
            stop = StopAt(7, patch)
            patch.setattr(runs, "Stop", lambda: stop)
            with pytest.raises(BaseException, match="stopped after step 7 of 22"):
                runs.train(on_gpu("cut", recipe_=EVERYTHING))
        cut = on_gpu("cut", recipe_=EVERYTHING, start="resume")
        runs.train(cut)
    assert_equal_bits(*(checkpoint.load(each.settings.out / "last.pt") for each in (whole, cut)))
    rows = [without_times(metrics.read(each.settings.out)) for each in (whole, cut)]
    assert rows[0] == rows[1]


def test_mixing_draws_the_same_on_every_device() -> None:
    from tests.train.data.test_augment import Augment, draws

    images, labels = torch.randn(10, 3, 8, 8), torch.arange(10)
    recipe = Augment(mixup=0.5, cutmix=1.0)
    one = mix(images, labels, 10, recipe, draws(batch=10))
    other = mix(images.cuda(), labels.cuda(), 10, recipe, draws(batch=10))
    assert all(torch.allclose(a, b.cpu(), atol=1e-6) for a, b in zip(one, other, strict=True))


SYNCHRONIZED = (
    SPY
    + """
from pathlib import Path
from torch import nn
from resgen.train.device import processes
from resgen.train.device import engine
from resgen.train.device.voice import together
from resgen.train.run import network
from resgen.train.run import runs
from resgen.train.data.images import Wanted
from resgen.train.recipe import Recipe
from resgen.train.run.settings import Settings

torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

recipe = Recipe.model_validate({
    "description": "", "length": "3 steps", "batch": 127, "optimizer": {"lr": 0.01},
})
with together() as voice:
  motor = engine.choose(
    device="cuda", precision="fp32", compile="off", local_rank=voice.place.local_rank
  )
  with processes.joined(motor.device, voice) as world:
    settings = Settings(
        out=Path(f"run-{world.size}"), voice="quiet", sync_bn="on" if world.size > 1 else "off"
    )
    net = network.load("digits/resnet20")
    runs.train(runs.Job([net], recipe, Wanted("digits"), settings, motor, world))
    if world.first:
        torch.save(seen, f"gradients-{world.size}.pt")
"""
)


@needs_two
def test_synchronized_batch_norm_gives_two_gpus_the_gradients_of_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SYNCHRONIZED)
    for processes in (1, 2):
        done = launch(processes, ["script.py"], tmp_path)
        assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / f"gradients-{n}.pt") for n in (1, 2))
    for mine, theirs in zip(one[0], two[0], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-5)


def test_synchronized_batch_norm_replaces_every_norm(on_gpu: Make) -> None:
    made = on_gpu(sync_bn="on")
    (network,) = made.networks
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.module(0).modules())
    found: list[int] = []
    call = Stepper.__call__

    def counted(stepper: Stepper, batches: object, **keys: object) -> bool:
        found.append(sum(isinstance(m, nn.SyncBatchNorm) for m in stepper.module.modules()))
        return call(stepper, batches, **keys)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "__call__", counted)
        runs.train(made)
    assert norms > 0
    assert set(found) == {norms}


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lamb"])
def test_a_run_begun_on_the_cpu_goes_on_on_the_gpu_and_back(
    job: Make, on_gpu: Make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"optimizer": {"kind": kind, "lr": 0.01}, "length": "3 epochs"}
    for step, make in ((7, job), (14, on_gpu), (21, job)):
        with monkeypatch.context() as patch:
            stop = StopAt(step, patch)
            patch.setattr(runs, "Stop", lambda stop=stop: stop)
            with pytest.raises(Interrupted, match=f"stopped after step {step} of 33"):
                runs.train(make(recipe_=recipe, start="new" if step == 7 else "resume"))
    runs.train(on_gpu(recipe_=recipe, start="resume"))
    assert len(metrics.read(job().settings.out)) == 3
