"""A network scaled to a target; networks drawn from a design space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from resgen.cost.budget import Budget, amount
from resgen.errors import UserError
from resgen.search.fit import Fit
from resgen.search.fit import fit as fit_
from resgen.search.sample import Candidate, Source
from resgen.search.sample import sample as sample_
from resgen.spec import load_spec

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any

    from resgen.spec import Spec

Amount = int | str
"""25000000, or as people write it: `25M`."""


def fit(
    network: Spec | str | os.PathLike[str] | Mapping[str, Any],
    *,
    macs: Amount | None = None,
    params: Amount | None = None,
    by: Literal["width", "depth"] = "width",
    divisor: int = 8,
) -> Fit:
    """The largest network of this shape within a target of MACs or params.

    divisor: of the widths. Raises UserError where even the smallest is over the target.

    Examples:
        >>> found = fit("resnet50", macs="2G")
        >>> found
        <Fit resnet50: width x 0.6953, 12,785,792 params, 1,992,170,128 MACs>
        >>> found.changes[1]
        'stage 1: width 256 -> 176'
        >>> load_spec(found.data).stages[0].width
        176
    """
    targets = {"macs": macs, "params": params}
    given = [(name, value) for name, value in targets.items() if value is not None]
    if len(given) != 1:
        raise UserError('give one target: macs="2G" or params="25M"')
    ((measure, most),) = given
    target = amount(str(most), measure)
    return fit_(load_spec(network), target, measure, by=by, divisor=divisor)


def sample(
    space: Source,
    *,
    draws: int = 1000,
    seed: int = 0,
    max_params: Amount | None = None,
    max_macs: Amount | None = None,
    max_activations: Amount | None = None,
    overrides: Sequence[str] = (),
) -> list[Candidate]:
    """The valid networks among so many draws from a design space, within the limits.

    space: a spec whose values may be `{any: [16, 32]}` or `{from: 1, to: 8}`. Draw k of a seed is
    always the same.

    Examples:
        >>> space = {
        ...     "extends": "cifar/resnet20",
        ...     "name": "space",
        ...     "stages": [{"depth": {"from": 1, "to": 9}, "width": {"any": [16, 32, 64]}}],
        ... }
        >>> sample(space, draws=3, max_params="500k")
        [<Candidate space-0: ...>, ...]
    """
    limits = {"params": max_params, "macs": max_macs, "activations": max_activations}
    budget = Budget(
        **{
            name: amount(str(most), f"max_{name}")
            for name, most in limits.items()
            if most is not None
        }
    )
    return sample_(space, draws=draws, seed=seed, budget=budget, overrides=overrides)[0]
