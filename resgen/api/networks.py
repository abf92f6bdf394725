"""A network in any form -> its Plan, books, source, module, proof, drawing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from resgen.api.notebook import Drawing
from resgen.cost import Cost
from resgen.cost.books import cost as cost_
from resgen.plan import Network, Plan, plan_of
from resgen.proof import Proof
from resgen.source.file import emit_source as emit_source_

if TYPE_CHECKING:
    from torch import Tensor, nn

    from resgen.proof.measure import Measurement
    from resgen.weights import LoadReport


def resolve(network: Network) -> Plan:
    """The Plan of a network: every layer with its name and exact shapes.

    Raises UserError where the image shrinks below 1x1 or the paths of a block do not meet.

    Examples:
        >>> resolve("resnet50")
        <Plan resnet50: 3x224x224 -> 1000 classes, 16 blocks in 4 stages>
        >>> dict(resolve("resnet50").named_layers())["layer3.0.conv2"].output
        (256, 14, 14)
    """
    return plan_of(network)


def cost(network: Network) -> Cost:
    """The books of a network, for one image.

    Examples:
        >>> cost("resnet50").macs
        4089184256
        >>> cost({"extends": "resnet50", "name": "mine", "classes": 10}).params
        23528522
    """
    return cost_(plan_of(network))


def emit_source(network: Network, *, features: bool = False) -> str:
    """The network as one Python file that needs only torch.

    `__all__` names exactly one class, which needs no argument and, where a single layer puts
    out the classes, takes another number of them. With `features`, the class has
    `forward_features`, which returns the output of the stem and of each stage.

    Examples:
        >>> source = emit_source("resnet50")
        >>> "class ResNet50(nn.Module):" in source.splitlines()
        True
    """
    return emit_source_(plan_of(network), features=features)


def build_module(network: Network, *, features: bool = False) -> nn.Module:
    """The network as a torch module with He-initialized weights.

    Its parameters have torchvision's names. Raises UserError for a network too large to exist.

    Examples:
        >>> import torch
        >>> build_module("cifar/resnet20")(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 10])
    """
    from resgen.source.module import build_module as build

    return build(network, features=features)


def measure(module: nn.Module, network: Network) -> Measurement:
    """What fvcore and torch's counter see of one image of the network through the module.

    Raises UserError for a module that does not take the network's images.

    Examples:
        >>> seen = measure(build_module("cifar/resnet20"), "cifar/resnet20")
        >>> seen.witness == sum(seen.macs.values()) == cost("cifar/resnet20").macs
        True
    """
    from resgen.proof.measure import measure as measure_

    return measure_(module, plan_of(network))


def prove(network: Network, module: nn.Module | None = None) -> Proof:
    """The closed form against the plain twin and against a module: one of its own, or yours.

    Examples:
        >>> prove("cifar/resnet20")
        <Proof: all 7 checks hold>
        >>> prove("cifar/resnet20", build_module("cifar/resnet32"))
        <Proof: FAILS parameters: layer1.3.bn1.bias: None in plan, (16,) in module>
    """
    from resgen.proof import prove as prove_
    from resgen.source.module import build_undrawn

    plan = plan_of(network)
    return prove_(plan, build_undrawn(plan) if module is None else module)


def draw(
    *networks: Network,
    detail: Literal["block", "stage", "layer"] | None = None,
    wide: bool = False,
    part: str = "",
    theme: Literal["auto", "light", "dark"] = "auto",
) -> Drawing:
    """The networks side by side as SVG text, which a notebook shows and `save` writes.

    detail: a box a stage, the layers with weights (the default), or every layer. wide: in columns.
    part: of each network only this stage or block. theme: colours. Raises UserError for a part that
    a network does not have.

    Examples:
        >>> drawing = draw("cifar/plain20", "cifar/resnet20")
        >>> drawing
        <Drawing of plain20 and resnet20>
        >>> drawing.save("twenty.svg")
        >>> draw("resnet50", part="layer2.0").startswith("<svg ")
        True
    """
    from resgen.report.draw import Figure
    from resgen.report.draw import draw as draw_

    plans = [plan_of(network) for network in networks]
    return Drawing(draw_(plans, Figure(detail, wide, part, theme)))


def load_weights(
    module: nn.Module,
    network: Network,
    weights: str | os.PathLike[str] | Mapping[str, Tensor],
    *,
    head: Literal["keep", "auto", "drop"] = "keep",
) -> LoadReport:
    """Gives a network's module the weights of a file, a run folder or a state dict, by name.

    Torchvision's, timm's and others' names are known. head: `drop` leaves the classifier as it is,
    `auto` only where the file's does not fit. Raises UserError, and changes nothing, where a tensor
    finds no partner of its shape.

    Examples:
        >>> import torchvision
        >>> theirs = torchvision.models.resnet18()
        >>> load_weights(build_module("resnet18"), "resnet18", theirs.state_dict()).text()
        'loaded 122 tensors, names read as they are'
    """
    from resgen.weights import init_from
    from resgen.weights import load_weights as load

    if isinstance(weights, Mapping):
        return load(module, plan_of(network), weights, head=head)
    return init_from(module, plan_of(network), Path(weights), head=head)
