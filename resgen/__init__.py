"""A compiler for residual networks: YAML spec -> Plan -> module, source, cost, proof.

    spec = load_spec("resnet50")     what the user wrote, validated
    plan = resolve(spec)             every layer with its name and exact shapes
    cost(plan).macs                  the closed form: 4089184256
    print(emit_source(plan))         the standalone source file
    build_module(plan)               the torch module
    measure(build_module(plan), plan)

Importing this package does not import torch; `build_module` and `measure` do when called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resgen.cost import Cost, cost
from resgen.plan import Plan, resolve
from resgen.source import emit_source
from resgen.spec import Spec, load_spec

if TYPE_CHECKING:
    from torch import nn

    from resgen.proof.measure import Measurement

__version__ = "0.1.0"
__all__ = [
    "Cost",
    "Plan",
    "Spec",
    "build_module",
    "cost",
    "emit_source",
    "load_spec",
    "measure",
    "resolve",
]


def build_module(network: Plan | Spec | str | Path, *, features: bool = False) -> nn.Module:
    """The network of a Plan, a Spec, a path or a shipped name, with He-initialized weights."""
    from resgen.source.module import build_module as build

    return build(network, features=features)


def measure(module: nn.Module, plan: Plan) -> Measurement:
    """What fvcore and torch's counter see of one image through the module."""
    from resgen.proof.measure import measure as measure_

    return measure_(module, plan)
