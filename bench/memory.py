"""python bench/memory.py: the closed form of a training step's memory against torch.

kept: bytes of the tensors that autograd saves (`saved_tensors_hooks`, each storage once),
and peak: the allocator's own figures over a second step, forward, backward and optimizer,
both on the CPU; on a GPU, where there is one, `max_memory_allocated`.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from resgen import build_module, load_spec, resolve
from resgen.cost.memory import training_step

NETWORKS = (
    "cifar/resnet20", "cifar/resnet56", "cifar/resnet110", "cifar/plain20", "imagenet/resnet18",
    "imagenet/resnet34", "imagenet/resnet50",
)  # fmt: skip
VARIANTS = {
    "preact": "order: preact",
    "silu-se": "activation: silu\nattention: se",
    "gated": "shortcut: gated",
    "deep-d": "stem: {kind: deep, width: 32}\nprojection: avgpool-conv",
    "blur": "antialias: blur",
    "groups": "groups: 8",
}
BASE = {
    "stem": "{kind: conv3x3, width: 32}",
    "block": "bottleneck",
    "shortcut": "projection",
    "stages": "[{depth: 3, width: 128}, {depth: 3, width: 256, stride: 2}]",
    "input": "{channels: 3, size: 64}",
    "classes": "10",
}


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    header = ("kept MiB", "closed", "peak MiB", "closed", "kept", "peak")
    print(f"{'network':18}{'batch':>6}" + "".join(f"{word:>10}" for word in header))
    kept_errors: list[float] = []
    peak_errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [*NETWORKS, *written(Path(folder))]:
            plan = resolve(load_spec(name))
            for batch in batches(plan):
                measured = kept_bytes(plan, batch), peak_bytes(plan, batch, device)
                step = training_step(plan, batch)
                kept_errors.append(step.kept / measured[0] - 1)
                peak_errors.append(step.peak / measured[1] - 1)
                figures = (measured[0], step.kept, measured[1], step.peak)
                print(
                    f"{plan.name:18}{batch:6}"
                    + "".join(
                        f"{x / 2**20:{w}.1f}"
                        for x, w in zip(figures, (10, 10, 10, 10), strict=True)
                    )
                    + f"{kept_errors[-1]:+10.3%}{peak_errors[-1]:+10.1%}",
                    flush=True,
                )
    for what, errors in (("kept", kept_errors), ("peak", peak_errors)):
        low, high = min(errors), max(errors)
        print(f"{what}: closed form over measured {low:+.4%} to {high:+.4%}, {len(errors)} steps")


def written(folder: Path) -> list[Path]:
    """The variants as spec files."""
    made = []
    for name, keys in VARIANTS.items():
        spec = BASE | dict(line.split(": ", 1) for line in keys.splitlines())
        path = folder / f"{name}.yaml"
        path.write_text("\n".join([f"name: {name}", *(f"{k}: {v}" for k, v in spec.items())]))
        made.append(path)
    return made


def batches(plan: object) -> tuple[int, ...]:
    size = plan.input[1]  # type: ignore[attr-defined]
    return (2, 4, 8) if size > 100 else (8, 16, 32)


def kept_bytes(plan: object, batch: int) -> int:
    """What autograd keeps between forward and backward, parameters and buffers aside."""
    module = build_module(plan).train()  # type: ignore[arg-type]
    own = {t.untyped_storage().data_ptr() for t in module.state_dict().values()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (key := tensor.untyped_storage().data_ptr()) not in own:
            kept[key] = tensor
        return tensor

    images = torch.randn(batch, *plan.input)  # type: ignore[attr-defined]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.cross_entropy(module(images), torch.zeros(batch, dtype=torch.long))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def peak_bytes(plan: object, batch: int, device: torch.device) -> int:
    """The most bytes alive in the second step, as the allocator counts them."""
    module = build_module(plan).train().to(device)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        images = torch.zeros(batch, *plan.input, device=device)  # type: ignore[attr-defined]
        labels = torch.zeros(batch, dtype=torch.long, device=device)
        loss = F.cross_entropy(module(images), labels)
        loss.backward()
        optimizer.step()

    step()
    optimizer.zero_grad()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated()
    standing = sum(t.nbytes for t in module.state_dict().values())
    standing += sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t is not None)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    alive = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            most = max(most, alive)
    return standing + most


if __name__ == "__main__":
    sys.exit(main())
