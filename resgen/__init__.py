"""A compiler for residual networks: YAML spec -> Plan -> module, source, cost, proof.

    spec = load_spec("resnet50")     what the user wrote, validated
    plan = resolve(spec)             every layer with its name and exact shapes
    cost(plan).macs                  the closed form: 4089184256
    print(emit_source(plan))         the standalone source file
    build_module(plan)               the torch module
    measure(build_module(plan), plan)

Each of them takes a network in any form: a Plan, a Spec, a path, a shipped name or the keys
of a spec, so that `cost("resnet50")` will do. Importing this package does not import torch;
`build_module` and `measure` do when called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resgen.cost import Cost
from resgen.cost.books import cost as cost_
from resgen.plan import Network, Plan, plan_of
from resgen.source.file import emit_source as emit_source_
from resgen.spec import Spec, load_spec
from resgen.version import __version__ as __version__

if TYPE_CHECKING:
    from torch import nn

    from resgen.proof.measure import Measurement

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


def resolve(network: Network) -> Plan:
    """The Plan of a network: every layer with its name and exact shapes.

    Raises UserError where the image shrinks below 1x1 or the paths of a block do not meet.
    """
    return plan_of(network)


def cost(network: Network) -> Cost:
    """The books of a network, for one image."""
    return cost_(plan_of(network))


def emit_source(network: Network, *, features: bool = False) -> str:
    """The network as one Python file that needs only torch.

    `__all__` names exactly one class, which needs no argument and, where a single layer puts
    out the classes, takes another number of them. With `features`, the class has
    `forward_features`, which returns the output of the stem and of each stage.
    """
    return emit_source_(plan_of(network), features=features)


def build_module(network: Network, *, features: bool = False) -> nn.Module:
    """The network as a torch module with He-initialized weights."""
    from resgen.source.module import build_module as build

    return build(network, features=features)


def measure(module: nn.Module, network: Network) -> Measurement:
    """What fvcore and torch's counter see of one image of the network through the module.

    Raises UserError for a module that does not take the network's images.
    """
    from resgen.proof.measure import measure as measure_

    return measure_(module, plan_of(network))
