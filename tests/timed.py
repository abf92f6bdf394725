"""A network of a few layers, timed on the CPU: what the tests of bench share."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from resgen import load_spec, resolve
from resgen.cost.roofline import Peaks
from resgen.plan import Plan
from resgen.timing.bench import Asked, Report, bench
from resgen.timing.cases import MODES
from resgen.train.device import engine
from resgen.train.device.engine import Engine

TINY = {
    "name": "tiny", "input": {"channels": 3, "size": 8}, "classes": 4,
    "stem": {"kind": "conv3x3", "width": 4}, "block": "basic", "shortcut": "identity",
    "stages": [{"depth": 1, "width": 4}],
}  # fmt: skip
CPU = Engine(torch.device("cpu"), "fp32", "channels_last", "off")
PEAKS = Peaks("a machine", 1e9, {"fp32": 1e10, "bf16": 2e10})
GPU = pytest.param("cuda", marks=pytest.mark.gpu)


def plan(**keys: Any) -> Plan:
    return resolve(load_spec({**TINY, **keys}))


def run(*plans: Plan, motor: Engine = CPU, **asked: Any) -> Report:
    wanted = {"modes": list(MODES), "batches": [2, 4], "precisions": ["fp32"], "rounds": 6}
    return bench(plans, Asked(**{**wanted, **asked}), motor, lambda: PEAKS)


def motor(device: str) -> Engine:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return engine.choose(device=device, precision="fp32", compile="off")
