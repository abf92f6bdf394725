"""A network in any form -> its Plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from resgen.plan.model import Plan
from resgen.plan.resolve import resolve
from resgen.spec import Spec, load_spec

Network = Plan | Spec | str | os.PathLike[str] | Mapping[str, Any]
"""A Plan, a Spec, a path, a shipped name, or the keys of a spec."""


def plan_of(network: Network) -> Plan:
    """The Plan of a Plan, a Spec, a path, a shipped name, or the keys of a spec.

    Raises UserError for what is no network, TypeError for what is none of these.
    """
    if isinstance(network, Plan):
        return network
    if not isinstance(network, Spec | str | os.PathLike | Mapping):
        raise TypeError(
            "a network is given as a Plan, a Spec, a path, a shipped name or the keys of a spec, "
            f"not as {type(network).__name__}"
        )
    return resolve(load_spec(network))
