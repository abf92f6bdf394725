"""The proof about a network's shortcuts, and that its books agree with what is measured.

1. closed form: the network against its plain twin; the difference is 0 for identity
   shortcuts and exactly the projections (or gates) otherwise;
2. measured: fvcore, layer by layer, equals the closed form; torch's counter has the same
   total; the module's parameters agree with the Plan by name and shape;
3. accounted: the traced additions are as many and as large as the Plan's residual
   blocks; no operator is without a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from resgen.cost import Cost, cost, cost_of_layers, shortcut_costs
from resgen.plan import Layer, Plan

if TYPE_CHECKING:
    from torch import nn

    from resgen.proof.measure import Measurement


class Check(NamedTuple):
    """One claim, and whether it holds; the text of one that fails names the first difference.

    Examples:
        >>> from resgen import prove
        >>> prove("cifar/resnet20").checks[0].text
        'identity shortcuts add 0 params, 0 MACs to the plain twin (9 blocks)'
    """

    name: str
    holds: bool
    text: str


class Proof(NamedTuple):
    """All checks of one network.

    Examples:
        >>> from resgen import prove
        >>> proof = prove("cifar/resnet20")
        >>> proof.ok, [check.name for check in proof.checks][-2:]
        (True, ['additions', 'operators'])
    """

    checks: tuple[Check, ...]

    def __repr__(self) -> str:
        for check in self.checks:
            if not check.holds:
                return f"<Proof: FAILS {check.name}: {check.text}>"
        return f"<Proof: all {len(self.checks)} checks hold>"

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


def prove(plan: Plan, module: nn.Module) -> Proof:
    """Checks the Plan against itself without shortcuts, and against the measured module."""
    from resgen.proof.measure import measure

    return Proof((*closed_form(plan), *measured(plan, measure(module, plan))))


def closed_form(plan: Plan) -> tuple[Check, ...]:
    """The network against its plain twin."""
    whole, twin, added = cost(plan), cost(plan.plain()), shortcut_costs(plan)
    params, macs = whole.params - twin.params, whole.macs - twin.macs
    free = [
        (name, cost_of_layers(unit.added))
        for name, unit in plan.named_units()
        if unit.shortcut.kind in ("identity", "identity-padded")
        and not any(layer.op.parts(layer.input) for layer in unit.added)
    ]
    checks = []
    if free:
        bad = next(((n, c) for n, c in free if c.params or c.macs), None)
        checks.append(
            Check(
                "identity_adds_nothing",
                bad is None,
                f"identity shortcuts add 0 params, 0 MACs to the plain twin ({_n(free)})"
                if bad is None
                else f"the identity shortcut of {bad[0]} adds {bad[1].params:,} params",
            )
        )
    what = _weighted_shortcuts(plan)
    exact = (params, macs) == (added.params, added.macs)
    if not exact:
        text = (
            f"the difference to the plain twin is {params:,} params and {macs:,} MACs, "
            f"the shortcuts account for {added.params:,} and {added.macs:,}"
        )
    elif added.params or added.macs:
        rest = "add the rest to it" if free else "are all that the plain twin lacks"
        text = f"{what} {rest}: {params:,} params, {macs:,} MACs"
    elif added.none == plan.blocks:
        text = "the network is its own plain twin: it has no shortcuts"
    else:
        text = "network and plain twin have the same params and MACs, to the integer"
    checks.append(Check("difference_to_plain_twin", exact, text))
    return tuple(checks)


def _n(blocks: Sequence[object]) -> str:
    return f"{len(blocks)} block{'s' if len(blocks) != 1 else ''}"


def _weighted_shortcuts(plan: Plan) -> str:
    kinds = {
        "projections" if unit.shortcut.kind == "projection" else "gates"
        for _, unit in plan.named_units()
        if cost_of_layers(unit.added).params
    }
    return " and ".join(sorted(kinds, reverse=True))


def measured(plan: Plan, seen: Measurement) -> tuple[Check, ...]:
    """The Plan against what was measured of its module."""
    return (
        _parameters(plan, seen),
        _layers(plan, seen),
        _witness(plan, seen),
        _additions(plan, seen),
        _operators(seen),
    )


def _parameters(plan: Plan, seen: Measurement) -> Check:
    ours = dict(plan.named_parameters())
    for name in sorted(ours.keys() | seen.parameters.keys()):
        if ours.get(name) != seen.parameters.get(name):
            text = f"{name}: {ours.get(name)} in plan, {seen.parameters.get(name)} in module"
            return Check("parameters", False, text)
    text = f"module and plan agree on {len(ours)} parameters, by name and shape"
    return Check("parameters", True, text)


def _layers(plan: Plan, seen: Measurement) -> Check:
    macs: dict[str, int] = {}
    norms: dict[str, int] = {}
    for name, layer in plan.named_layers():
        books = _own_cost(layer)
        if books.macs:  # the products of a module itself are one entry
            macs[name] = macs.get(name, 0) + books.macs
        if books.norm:
            norms[name] = books.norm
    for what, ours, theirs in (("MACs", macs, seen.macs), ("norm", norms, seen.norms)):
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name, 0) != theirs.get(name, 0):
                text = (
                    f"{name}: {ours.get(name, 0):,} {what} in closed form, "
                    f"{theirs.get(name, 0):,} measured by fvcore"
                )
                return Check("fvcore_by_layer", False, text)
    text = f"fvcore measures the same, layer by layer: {len(macs)} with MACs"
    if norms:
        text += f", {len(norms)} norms"
    return Check("fvcore_by_layer", True, text)


def _own_cost(layer: Layer) -> Cost:
    """The books of a layer itself; the layers inside it have rows of their own."""
    return cost_of_layers(() if layer.op.line == "parts" else (layer,))


def _witness(plan: Plan, seen: Measurement) -> Check:
    ours = cost(plan).macs
    if ours == seen.witness:
        return Check(
            "torch_flop_counter", True, f"torch's counter has the same total, {ours:,} MACs"
        )
    text = f"{ours:,} MACs in closed form, {seen.witness:,} by torch's counter"
    return Check("torch_flop_counter", False, text)


def _additions(plan: Plan, seen: Measurement) -> Check:
    found: dict[str, list[int]] = {}
    for name, size in plan.named_additions():
        found.setdefault(name, []).append(size)
    ours = {name: tuple(sorted(sizes)) for name, sizes in found.items()}
    for name in sorted(ours.keys() | seen.additions.keys()):
        if ours.get(name, ()) != seen.additions.get(name, ()):
            text = (
                f"{name or 'the network'}: additions of {_list(ours.get(name, ()))} elements in "
                f"the plan, of {_list(seen.additions.get(name, ()))} in the trace"
            )
            return Check("additions", False, text)
    total = sum(sum(sizes) for sizes in ours.values())
    if not ours:
        return Check("additions", True, "no addition in the trace, no residual block in the plan")
    times = sum(map(len, ours.values()))
    residual = cost(plan).residual_adds
    what = "once a residual block" if total == residual else "shortcuts and sums of branches"
    if total == residual and times > len(ours):
        what = "once a shortcut"
    return Check("additions", True, f"the trace adds {times} times, {what}: {total:,} elements")


def _list(sizes: tuple[int, ...]) -> str:
    return " and ".join(f"{size:,}" for size in sizes) or "no"


def _operators(seen: Measurement) -> Check:
    if seen.unknown:
        operator, count = next(iter(seen.unknown.items()))
        return Check("operators", False, f"{operator} was traced {count} times and has no rule")
    return Check("operators", True, "no operator in the trace is without a rule")
