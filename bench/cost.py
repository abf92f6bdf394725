"""python bench/cost.py: the closed form against other closed forms and against tools that run.

Each figure is the best of several runs. Spec to cost stands beside pycls's closed form
(Radosavovic et al. 2020, section 3: flops, params and activations of a network, totals only),
written out here from its formulas. The tools count ResNet-152 on the meta device where they
can (fvcore and ptflops need a device that computes).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from resgen import cost, load_spec, resolve


def best(call: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of several calls, the first of which is not timed."""
    call()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


Totals = dict[str, int]


def conv(totals: Totals, into: int, out: int, kernel: int, stride: int = 1) -> Totals:
    height, width = (totals["height"] - 1) // stride + 1, (totals["width"] - 1) // stride + 1
    weights = kernel * kernel * into * out
    return {
        "height": height,
        "width": width,
        "params": totals["params"] + weights,
        "macs": totals["macs"] + weights * height * width,
        "activations": totals["activations"] + out * height * width,
    }


def norm(totals: Totals, channels: int) -> Totals:
    totals["params"] += 2 * channels
    return totals


def bottleneck(totals: Totals, into: int, out: int, stride: int) -> Totals:
    if into != out or stride != 1:
        height, width = totals["height"], totals["width"]
        totals = norm(conv(totals, into, out, 1, stride), out)
        totals["height"], totals["width"] = height, width
    inner = out // 4
    totals = norm(conv(totals, into, inner, 1), inner)
    totals = norm(conv(totals, inner, inner, 3, stride), inner)
    return norm(conv(totals, inner, out, 1), out)


def pycls_resnet152() -> Totals:
    """ResNet-152, block by block, as pycls's complexity functions go through it."""
    image = {"height": 224, "width": 224, "params": 0, "macs": 0, "activations": 0}
    totals = norm(conv(image, 3, 64, 7, 2), 64)
    totals["height"] = totals["width"] = 56  # the max pool
    into = 64
    for depth, out, stride in ((3, 256, 1), (8, 512, 2), (36, 1024, 2), (3, 2048, 2)):
        for block in range(depth):
            totals = bottleneck(totals, into, out, 1 if block else stride)
            into = out
    totals["params"] += (into + 1) * 1000
    totals["macs"] += into * 1000
    return totals


def closed_form() -> float:
    """Seconds of ResNet-152's cost, its Plan being there."""
    spec = load_spec("resnet152")
    plan, theirs = resolve(spec), pycls_resnet152()
    books = cost(plan)
    assert (theirs["params"], theirs["macs"]) == (books.params, books.macs)
    steps: dict[str, Callable[[], object]] = {
        "YAML to Spec": lambda: load_spec("resnet152"),
        "Spec to cost": lambda: cost(resolve(spec)),
        "cost alone": lambda: cost(plan),
        "pycls's formula (totals only)": pycls_resnet152,
    }
    # One after another in each round, so that all see the same machine.
    seconds = {name: float("inf") for name in steps}
    for _ in range(300):
        for name, step in steps.items():
            seconds[name] = min(seconds[name], best(step, 1))
    formula = seconds["pycls's formula (totals only)"]
    for name, taken in seconds.items():
        print(f"resnet152, {name:<32}{taken * 1000:8.3f} ms{taken / formula:8.2f} of the formula")
    paths = load_spec("efficientnet_b0")
    taken = best(lambda: cost(resolve(paths)), 300)
    print(f"{'efficientnet_b0, Spec to cost':<43}{taken * 1000:8.3f} ms")
    deep, shallow = (resolve(load_spec(name)) for name in ("resnet1202", "cifar/resnet20"))
    ratio = best(lambda: cost(deep), 300) / best(lambda: cost(shallow), 300)
    print(f"{'cost alone, resnet1202 over resnet20':<43}{ratio:8.2f}")
    return seconds["cost alone"]


def tools() -> dict[str, float]:
    """Seconds each tool takes for ResNet-152."""
    import torch
    from fvcore.nn import FlopCountAnalysis
    from torch.utils.flop_counter import FlopCounterMode
    from torchinfo import summary
    from torchvision.models import resnet152

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with torch.device("meta"):
        meta = resnet152().eval()
        image = torch.empty(1, 3, 224, 224)
    real = resnet152().eval()

    def counter() -> None:
        with torch.no_grad(), FlopCounterMode(display=False):
            meta(image)

    def ptflops() -> None:
        from ptflops import get_model_complexity_info

        get_model_complexity_info(real, (3, 224, 224), print_per_layer_stat=False, verbose=False)

    calls: dict[str, Callable[[], object]] = {
        "FlopCounterMode, meta device": counter,
        "torchinfo, meta device": lambda: summary(
            meta, input_data=image, device="meta", verbose=0, cache_forward_pass=False
        ),
        "ptflops": ptflops,
        "fvcore": lambda: FlopCountAnalysis(real, torch.zeros(1, 3, 224, 224)).total(),
    }
    found = {}
    for name, call in calls.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found[name] = best(call, 3)
        except ImportError as error:
            print(f"{name}: left out, {error}")
    return found


SPACE = """name: candidate
input: {channels: 3, size: 224}
stem: {kind: conv7x7-pool, width: {any: [32, 64]}}
block: bottleneck
shortcut: projection
groups: {any: [1, 2, 8]}
stages:
  - {depth: {from: 1, to: 6}, width: {from: 64, to: 512, step: 32}}
  - {depth: {from: 1, to: 8}, width: {from: 128, to: 1024, step: 32}, stride: 2}
  - {depth: {from: 1, to: 24}, width: {from: 256, to: 2048, step: 32}, stride: 2}
  - {depth: {from: 1, to: 6}, width: {from: 256, to: 2048, step: 32}, stride: 2}
classes: 1000
"""


def sampling() -> None:
    """Ten thousand draws, in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "space.yaml"
        path.write_text(SPACE)
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "resgen", "sample", str(path), "-n", "10000", "--format", "csv"],
            stdout=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - start
    print(f"{'resgen sample -n 10000':<39}{taken:10.2f} s {usage.ru_maxrss / 1024:9.0f} MiB")


def commands() -> None:
    """The whole command against the import of torch."""

    def run(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True)

    summarize = ("-m", "resgen", "summarize", "resnet50")
    torch = best(run("-c", "import torch"), 3)
    print(f"{'python -c import torch':<39}{torch:10.2f} s")
    for title, words in (("--no-measure", (*summarize, "--no-measure")), ("with proof", summarize)):
        taken = best(run(*words), 3)
        print(f"{'summarize resnet50, ' + title:<39}{taken:10.2f} s {taken / torch:9.2f} of it")


def main() -> None:
    ours = closed_form()
    sampling()  # before torch is here: a child's peak counts what its parent held at the fork
    commands()
    found = tools()
    for name, seconds in sorted(found.items(), key=lambda item: item[1]):
        print(f"{name:<39}{seconds * 1000:10.1f} ms{seconds / ours:9.0f} times")


if __name__ == "__main__":
    main()
