"""What a step is computed with: chosen by the device, said in one line, and able to work."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resgen.train.device import engine
from resgen.train.run import metrics, runs

CPU = torch.device("cpu")


@pytest.mark.parametrize("instructions", [True, False])
def test_bf16_is_chosen_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, instructions: bool
) -> None:
    able = {"avx512_bf16": instructions}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    chosen = engine.choose(device="cpu")
    assert chosen.precision == ("bf16" if instructions else "fp32")
    assert engine.choose(device="cpu", precision="fp32").precision == "fp32"


def test_a_gpu_without_a_compiler_goes_on_uncompiled_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_device", lambda *_: torch.device("cuda", 0))
    monkeypatch.setattr(engine, "_has_bf16", lambda _: True)
    monkeypatch.setattr(engine, "_compile_error", lambda _: "no Triton")
    chosen = engine.choose(device="cuda").for_run()
    assert chosen.compile == "off"
    assert str(replace(chosen, device=CPU)).endswith(
        "not compiled as torch.compile fails here: no Triton"
    )
    monkeypatch.setattr(engine, "_compile_error", lambda _: "")
    assert engine.choose(device="cuda").for_run().compile == "on"


def test_compiling_without_a_compiler_is_a_sentence(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resgen", "train", tiny(), "--compile", "on", "--device", "cpu"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "c")},
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --compile on: torch.compile fails here: ")
    assert not (tmp_path / "runs").exists()


_RESIDENT = """
import resource, sys, torch
from resgen.train.device import engine
if sys.argv[1] == "keep":
    engine.keep_freed_memory()

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 2**20

def step() -> None:  # 384 MiB in pieces, all freed together at its end
    activations = [torch.ones(2**22) for _ in range(24)]

torch.ones(1)
before = resident()
step()
print(resident() - before)
step()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc and its allocator")
def test_memory_a_step_frees_is_kept_for_the_next() -> None:
    kept, returned = (
        [int(mebibytes) for mebibytes in done.split()]
        for word in ("keep", "as it is")
        for done in [subprocess.check_output([sys.executable, "-c", _RESIDENT, word])]
    )
    assert returned[0] < 40
    assert kept[0] > 350
    assert kept[1] < 1.5 * kept[0]


@pytest.mark.slow
@pytest.mark.parametrize("recompute", ["off", "blocks"])
def test_a_compiled_run_trains_as_an_eager_one(
    job: Callable[..., runs.Job], cpu: engine.Engine, recompute: str
) -> None:
    if why := engine._compile_error(CPU):
        pytest.skip(f"torch.compile does not work here: {why}")
    losses = []
    for compile in ("off", "on"):
        made = job(compile, recompute=recompute, recipe_={"ema": {"decay": 0.9}})
        runs.train(replace(made, engine=replace(cpu, compile=compile)))
        losses.append([row["heldout_loss"] for row in metrics.read(made.settings.out)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
