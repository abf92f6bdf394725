"""A compiler for residual networks: YAML spec -> Plan -> module, source, cost, proof.

    spec = load_spec("resnet50")     what the user wrote, validated
    plan = resolve(spec)             every layer with its name and exact shapes
    cost(plan).macs                  the closed form: 4089184256
    prove(plan)                      against the plain twin, and against what is measured
    draw(plan).save("resnet50.pdf")
    print(emit_source(plan))         the standalone source file
    build_module(plan)               the torch module
    train(spec, out="runs/first")    a run folder

Each of them takes a network in any form: a Plan, a Spec, a path, a shipped name or the keys
of a spec, so that `cost("resnet50")` will do (a run folder holds its spec: `train` takes no
Plan). Importing this package does not import torch; what needs it does when called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resgen.api.networks import (
    build_module,
    cost,
    draw,
    emit_source,
    load_weights,
    measure,
    prove,
    resolve,
)
from resgen.api.notebook import Drawing, show
from resgen.api.searches import fit, sample
from resgen.api.training import train
from resgen.cost import Cost
from resgen.errors import CheckFailed, Diverged, Interrupted, ResgenError, UserError
from resgen.plan import Plan
from resgen.proof import Check, Proof
from resgen.search.fit import Fit
from resgen.search.sample import Candidate
from resgen.spec import Spec, load_spec
from resgen.version import __version__ as __version__
from resgen.weights import LoadReport

if TYPE_CHECKING:
    from resgen.proof.measure import Measurement
    from resgen.train.run.folder import Result

__all__ = [
    "Candidate",
    "Check",
    "CheckFailed",
    "Cost",
    "Diverged",
    "Drawing",
    "Fit",
    "Interrupted",
    "LoadReport",
    "Measurement",
    "Plan",
    "Proof",
    "ResgenError",
    "Result",
    "Spec",
    "UserError",
    "build_module",
    "cost",
    "draw",
    "emit_source",
    "fit",
    "load_spec",
    "load_weights",
    "measure",
    "prove",
    "resolve",
    "sample",
    "train",
]

show()


def __getattr__(name: str) -> Any:
    """What lies beside torch, where it is asked for."""
    if name == "Measurement":
        from resgen.proof.measure import Measurement

        return Measurement
    if name == "Result":
        from resgen.train.run.folder import Result

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
