"""Every layer of a network with its name and exact shapes: Spec -> Plan, pure data.

Knows what each kind of layer is written, shaped and counted as, and how blocks are made of
them; must not know torch, nor anything of those that read a Plan.
"""

from resgen.plan.forms import Network, plan_of
from resgen.plan.layers import Layer, Op, Shape, Shortcut, elements
from resgen.plan.model import Block, Plan, Run, Stage
from resgen.plan.resolve import resolve

__all__ = [
    "Block",
    "Layer",
    "Network",
    "Op",
    "Plan",
    "Run",
    "Shape",
    "Shortcut",
    "Stage",
    "elements",
    "plan_of",
    "resolve",
]
