"""Device, precision, memory layout, compilation: chosen once, printed, overridable."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from resgen.errors import UserError
from resgen.train.device import compiling
from resgen.train.device.compiling import Work

DEVICES = ("auto", "cuda", "mps", "cpu")
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """How a step is computed."""

    device: torch.device
    precision: Literal["bf16", "fp16", "fp32"]
    layout: Literal["channels_last", "contiguous"]
    compile: Literal["auto", "on", "graphs", "off"]
    """`graphs` is compiled, and each pass one CUDA graph; `auto` is left to the run's length."""
    why: str = ""
    """Why so, where nobody asked for it."""

    @property
    def memory_format(self) -> torch.memory_format:
        """torch's name for the layout."""
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format

    @property
    def asynchronous(self) -> bool:
        """Whether the host runs ahead of the device and reads its numbers now and then only.

        It may where the optimizer can drop a bad update by itself: on CUDA.
        """
        return self.device.type == "cuda"

    def autocast(self) -> AbstractContextManager[None]:
        """Where forward passes run: convolutions and linear layers in half precision, if chosen."""
        half = HALVES.get(self.precision)
        return cast(
            AbstractContextManager[None],
            torch.autocast(self.device.type, half, enabled=half is not None),
        )

    def for_run(self, work: Work | None = None) -> Engine:
        """The same with `auto` decided: by a run's size, or for one that never ends.

        Raises UserError where CUDA graphs are asked for and cannot be.
        """
        if self.compile == "graphs" and work is not None and not work.whole:
            raise UserError(
                "--compile graphs: for steps of one piece on one process, with nothing computed "
                "twice; take --compile on"
            )
        if self.compile != "auto":
            return self
        word, why = ("on", "") if work is None else compiling.advised(work)
        if word != "off" and (failure := _compile_error(self.device)):
            word, why = "off", f"as torch.compile fails here: {failure}"
        return replace(self, compile=word, why=why)  # type: ignore[arg-type]

    def called(self, module: nn.Module) -> nn.Module:
        """The module as steps call it: compiled, if chosen, and its outputs overwritten then."""
        if self.compile in ("auto", "off"):
            return module
        mode = "reduce-overhead" if self.compile == "graphs" else None
        if isinstance(module, DistributedDataParallel):
            module.compile(mode=mode)  # stays one, whose sums the steps hold back
            return module
        return torch.compile(module, mode=mode)  # type: ignore[return-value]

    def begin_pass(self) -> None:
        """Before each forward pass: what the one before put out may be overwritten."""
        if self.compile == "graphs":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    @contextmanager
    def fixed_shapes(self) -> Iterator[None]:
        """Within it cudnn tries its algorithms once for each shape, and keeps the fastest."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before

    def seed(self, value: int) -> None:
        """torch.manual_seed for the host's generator and this device's, in a hundredth of its time.

        It asks every kind of device that torch knows, and is called at each step.
        """
        torch.default_generator.manual_seed(value)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index or 0].manual_seed(value)
        elif self.device.type == "mps":
            torch.mps.manual_seed(value)

    def synchronize(self) -> None:
        """Waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""
        threads = f"{torch.get_num_threads()} threads" if self.device.type == "cpu" else name
        compiled = compiling.told(self.compile, self.why)
        return f"{self.device} ({threads or 'gpu'}), {self.precision}, {self.layout}, {compiled}"


def choose(
    *,
    device: str = "auto",
    precision: str = "auto",
    layout: str = "auto",
    compile: str = "auto",
    local_rank: int = 0,
) -> Engine:
    """The engine for a device; `auto` takes what was measured to be fastest on its kind."""
    chosen = _device(device, local_rank)
    # CPU with bf16 instructions: bf16 takes 0.6 times fp32's time on CIFAR's ResNet-20.
    # MPS runs bf16 slower than fp32, and lower in accuracy.
    if precision == "auto":
        precision = "bf16" if _has_bf16(chosen) else "fp16" if _has_fp16(chosen) else "fp32"
    if layout == "auto":
        layout = "contiguous" if chosen.type == "mps" else "channels_last"
    _one_of("--precision", precision, ("auto", *HALVES, "fp32"))
    _one_of("--layout", layout, ("auto", "channels_last", "contiguous"))
    _one_of("--compile", compile, compiling.WORDS)
    if compile == "graphs" and chosen.type != "cuda":
        raise UserError(f"--compile graphs: CUDA has them, and this is {chosen}")
    if compile in ("on", "graphs") and (failure := _compile_error(chosen)):
        raise UserError(f"--compile {compile}: torch.compile fails here: {failure}; leave it out")
    if compile == "auto" and chosen.type != "cuda":
        compile = "off"
    return Engine(chosen, precision, layout, compile)  # type: ignore[arg-type]


def _one_of(option: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise UserError(f"{option} {word}: must be one of {', '.join(words)}")


def _device(name: str, local_rank: int) -> torch.device:
    kind, _, number = name.partition(":")
    _one_of("--device", kind, DEVICES)
    if number and not number.isdigit():
        raise UserError(f"--device {name}: what follows the colon must be a whole number")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(number or local_rank)
        if index >= count:
            raise UserError(f"--device {name}: torch sees {count} CUDA devices here")
        torch.cuda.set_device(index)
        return torch.device("cuda", index)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"--device {name}: torch sees no MPS device here")
    return torch.device(kind)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # An older torch cannot be asked; there the answer is no.
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def _has_fp16(device: torch.device) -> bool:
    """Whether it multiplies in fp16 many times faster: GPUs from V100 and T4 on."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)


def _compile_error(device: torch.device) -> str:
    """Why torch.compile cannot work here, in a line: no Triton, no compiler; "" where it can."""
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(8, device=device))
    except Exception as error:  # each backend raises classes of its own
        lines = str(error.__cause__ or error).strip().splitlines()
        return lines[0].rstrip(".:") if lines else type(error).__name__
    return ""


def make_deterministic() -> None:
    """All of torch's switches for equal bits on a GPU; costs about a tenth of its speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def keep_freed_memory() -> None:
    """Has glibc keep what a step frees, for the next step to use again.

    By default it gives the memory back to the system after each backward pass and takes it
    in again page by page, zeroed: about a fifth of a ResNet-18's step (bench/allocator.py).
    Blocks over 32 MiB, the most that glibc allows here, still come from the system.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        mmap_threshold, trim_threshold, never = -3, -1, -1  # as in malloc.h
        libc.mallopt(mmap_threshold, 32 * 2**20)
        libc.mallopt(trim_threshold, never)
