"""Images per second of resgen's training step against bare loops over others' models.

    python bench/train.py                     ResNet-18 on the CPU, ResNet-50 and -20 on a GPU
    python bench/train.py --rounds 100 --format json
    python bench/train.py --data folder:PATH  also one whole run of cifar-short
    python bench/train.py --parts             also what each part of the step is worth

All contenders run in one process and take turns round by round, in an order drawn anew for
each, so that whatever else the machine does hits them alike; a ratio is the median over the
rounds, with its 95 % interval. `bare, same settings` has resgen's precision, layout and
compilation, its batch as floating point in memory, and no augmentation, no counting and no
check for NaN; `once more` is the same loop again, in memory of its own: how far its ratio
differs from the first one's is what the method cannot tell apart. `bare, torch's defaults`
is fp32, contiguous, not compiled. On the CPU all of them, the defaults too, have what
resgen does for its own process: memory that a step frees is kept (bench/allocator.py).
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resgen.train.data import sources
from resgen.train.data.feed import Batch, Making, MemoryFeed, Piece
from resgen.train.data.images import Wanted
from resgen.train.data.order import Order
from resgen.train.device import engine
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.recipe.optimizers import build
from resgen.train.run import fit, network
from resgen.train.run.loop import Stepper

Step = Callable[[], None]
# Dense bf16 peaks by the makers' data sheets, in FLOPs a second.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}


@dataclass(frozen=True)
class Case:
    """A network, and who else has it."""

    title: str
    spec: str
    batch: int
    others: dict[str, Callable[[], nn.Module]]


def cases(device: torch.device) -> list[Case]:
    """What is measured on a kind of device."""
    from torchvision import models

    small = Case("ResNet-20 at 32", "cifar/resnet20", 128 if device.type == "cpu" else 512, {})
    if device.type == "cpu":
        resnet18 = {"torchvision": models.resnet18}
        return [Case("ResNet-18 at 224", "imagenet/resnet18", 16, resnet18), small]
    found = [Case("ResNet-50 at 224", "imagenet/resnet50", 256, {"torchvision": models.resnet50})]
    try:
        import timm

        found[0].others["timm"] = lambda: timm.create_model("resnet50")
    except ImportError:
        pass
    return [*found, small]


def recipe(batch: int) -> Recipe:
    """SGD with momentum, pad-crop and flip: what the shipped CIFAR recipes do each step."""
    return Recipe.model_validate(
        {
            "description": "benchmark", "length": "1 epochs", "batch": batch,
            "optimizer": {"lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4},
            "augment": {"crop": "pad", "pad": 4, "flip": "horizontal"},
        }
    )  # fmt: skip


def resgens(case: Case, motor: Engine) -> tuple[Step, fit.Need, int]:
    """resgen's own step with its feed; the memory it foresees; and MACs an image."""
    net = network.load(case.spec)
    images = sources.load(Wanted("synthetic", net.channels, net.size, net.classes, heldout=256))
    order = Order(len(images.train), case.batch, 0)
    making = Making.of(
        images, recipe=recipe(case.batch).augment, order=order, channels=net.channels,
        size=net.size, train_size=net.train_size, device=motor.device,
        layout=motor.memory_format,
    )  # fmt: skip
    feed = MemoryFeed.of(images, making)
    module = net.module(0).to(motor.device, memory_format=motor.memory_format)
    need = fit.measure(module, net, recipe(case.batch), motor)
    called = motor.called(module)
    optimizer = build(module, recipe(case.batch).optimizer, device=motor.device)
    stepper = Stepper.of(called, optimizer, recipe=recipe(case.batch), engine=motor, world=World())
    steps = count()
    batches: Iterator[Batch] = feed.train(
        Piece(step % order.steps, range(case.batch)) for step in count()
    )
    return lambda: _assert(stepper(batches, step=next(steps), rate=1e-4)), need, net.macs


def _assert(fine: bool) -> None:
    assert fine, "the benchmark's loss became NaN"


def bare(module: nn.Module, case: Case, size: tuple[int, int], motor: Engine) -> Step:
    """Forward, backward, update, on one batch that lies ready."""
    module = module.to(motor.device, memory_format=motor.memory_format)
    fused = motor.device.type == "cuda"
    optimizer = torch.optim.SGD(
        module.parameters(), 1e-4, momentum=0.9, weight_decay=1e-4, fused=fused or None
    )
    called = motor.called(module)
    images = torch.rand(case.batch, 3, *size, device=motor.device)
    images = images.contiguous(memory_format=motor.memory_format)
    labels: Tensor = torch.arange(case.batch, device=motor.device) % 10

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with motor.autocast():
            loss = F.cross_entropy(called(images).float(), labels)
        loss.backward()
        optimizer.step()

    return step


def _each(motor: Engine) -> int:
    """Steps in a turn: on a GPU the first would be done before the last is begun."""
    return 1 if motor.device.type == "cpu" else 30


def race(
    steps: dict[str, Step], *, rounds: int, each: int, motor: Engine, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds a step of each contender in each round, taking turns in random order."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    rng = random.Random(0)
    for number in range(rounds + 1):
        for name in rng.sample(list(steps), len(steps)):
            motor.synchronize()
            start = clock()
            for _ in range(each):
                steps[name]()
            motor.synchronize()
            if number:  # the first round warms up
                seconds[name].append((clock() - start) / each)
    return seconds


def median_and_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """The median, and the order statistics that enclose the true one 95 times in 100."""
    ordered = sorted(values)
    n = len(ordered)
    reach = 0.98 * math.sqrt(n)  # 1.96 deviations of the binomial of n and 1/2
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach)
    low, high = max(low, 0), min(high, n - 1)
    middle = statistics.median(ordered)
    return round(middle, 3), round(ordered[low], 3), round(ordered[high], 3)


def measure(
    case: Case, motor: Engine, *, rounds: int, clock: Callable[[], float]
) -> dict[str, object]:
    """One case's table."""
    ours, need, macs = resgens(case, motor)
    size = network.load(case.spec).size
    steps = {"resgen": ours}
    defaults = Engine(motor.device, "fp32", "contiguous", "off")
    for name, make in (
        case.others or {"resgen's module": lambda: network.load(case.spec).module(0)}
    ).items():
        steps[f"{name}, bare, same settings"] = bare(make(), case, size, motor)
        steps[f"{name}, the same once more"] = bare(make(), case, size, motor)
        if name != "timm":
            steps[f"{name}, bare, torch's defaults"] = bare(make(), case, size, defaults)
    seconds = race(steps, rounds=rounds, each=_each(motor), motor=motor, clock=clock)
    result: dict[str, object] = {
        "case": case.title,
        "engine": str(motor),
        "batch": case.batch,
        "images_per_second": {
            name: round(case.batch / statistics.median(times), 1) for name, times in seconds.items()
        },
        "resgen_over": {
            name: median_and_interval(
                theirs / mine for theirs, mine in zip(times, seconds["resgen"], strict=True)
            )
            for name, times in seconds.items()
            if name != "resgen"
        },
    }
    if motor.device.type == "cuda":
        result |= _on_gpu(ours, need, macs, case, motor, statistics.median(seconds["resgen"]))
    return result


def parts(case: Case, motor: Engine, **how: Any) -> dict[str, tuple[float, float, float]]:
    """What each part of the step is worth: the other way's time over resgen's."""
    from step import pairs

    module = network.load(case.spec).module(0).to(motor.device, memory_format=motor.memory_format)
    found = {}
    for title, *both in pairs(lambda other: resgens(case, other)[0], module, motor):
        steps = dict(zip(("mine", "theirs"), both, strict=True))
        mine, theirs = race(steps, motor=motor, **how).values()
        found[title] = median_and_interval(b / a for a, b in zip(mine, theirs, strict=True))
    return found


def _on_gpu(
    step: Step, need: fit.Need, macs: int, case: Case, motor: Engine, seconds: float
) -> dict[str, object]:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    motor.synchronize()
    name = torch.cuda.get_device_name(motor.device)
    peak = next((value for word, value in PEAKS.items() if word in name), None)
    flops = 6 * macs * case.batch / seconds  # forward and backward: 3 x 2 FLOPs a MAC
    return {
        "peak_bytes_above_standing": torch.cuda.max_memory_allocated() - before,
        "estimated_bytes": need.image * case.batch,
        "share_of_bf16_peak": round(flops / peak, 3) if peak else None,
    }


def whole_run(data: str, device: str) -> dict[str, float]:
    """The CIFAR recipe from its first step to its test error, in a process of its own."""
    from cifar import whole

    with tempfile.TemporaryDirectory() as out:
        return whole(
            "cifar/resnet20", data, "cifar-short", seed=0, out=Path(out) / "run", device=device
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: seconds of this process, for one thread on a machine others use too",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--parts", action="store_true", help="what each part is worth")
    parser.add_argument("--data", help="CIFAR-10; adds a whole run of cifar-short on it")
    asked = parser.parse_args()
    motor = engine.choose(device=asked.device).for_run()
    if motor.device.type == "cpu":
        engine.keep_freed_memory()
    clock = time.perf_counter if asked.clock == "wall" else time.process_time
    results = [
        measure(case, motor, rounds=asked.rounds, clock=clock) for case in cases(motor.device)
    ]
    if asked.parts:
        for case, result in zip(cases(motor.device), results, strict=True):
            how = {"rounds": asked.rounds, "each": _each(motor), "clock": clock}
            result["parts"] = parts(case, motor, **how)
    run = whole_run(asked.data, asked.device) if asked.data else None
    if asked.format == "json":
        cuda = motor.device.type == "cuda"
        about = {
            "date": datetime.date.today().isoformat(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda if cuda else None,
            "device": torch.cuda.get_device_name(motor.device) if cuda else "CPU",
        }
        json.dump({**about, "cases": results, "cifar_short": run}, sys.stdout, indent=2)
        return
    for result in results:
        print(f"{result['case']}, batch {result['batch']}, {result['engine']}")
        speeds, ratios = result["images_per_second"], result["resgen_over"]
        assert isinstance(speeds, dict)
        assert isinstance(ratios, dict)
        for name, speed in speeds.items():
            ratio = ""
            if name in ratios:
                middle, low, high = ratios[name]
                ratio = f"   resgen: {middle:.3f} of it ({low:.3f} to {high:.3f})"
            print(f"  {name:38s} {speed:8,.1f} images/s{ratio}")
        worth = result.get("parts", {})
        assert isinstance(worth, dict)
        for title, (middle, low, high) in worth.items():
            print(f"  {title:50s} {middle:.3f} ({low:.3f} to {high:.3f})")
        for key in ("peak_bytes_above_standing", "estimated_bytes", "share_of_bf16_peak"):
            if key in result:
                print(f"  {key.replace('_', ' '):40s} {result[key]}")
    if run is not None:
        print("cifar-short on ResNet-20, a whole run")
        for key, value in run.items():
            print(f"  {key.replace('_', ' '):40s} {value:g}")


if __name__ == "__main__":
    main()
