"""On what something was measured: device, versions, threads, date."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import Any

import torch

from resgen.train.device.engine import Engine
from resgen.train.device.machine import processors
from resgen.version import __version__


def environment(engine: Engine) -> dict[str, Any]:
    """Plain values, enough to know whether two measurements may be compared."""
    cuda = engine.device.type == "cuda"
    cudnn: Any = torch.backends.cudnn
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "resgen": __version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": cudnn.version() if cuda else None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": device_name(engine.device),
        "device_kind": engine.device.type,
        "threads": torch.get_num_threads(),
        "processors": processors(),
        "layout": engine.layout,
        "compile": engine.compile,
        "tf32_convolutions": cudnn.allow_tf32 if cuda else None,
    }


def device_name(device: torch.device) -> str:
    """The maker's name of a GPU or a processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no such file on this system
    return platform.processor() or platform.machine() or device.type
