"""The proofs that commands make, and what becomes of one that does not hold."""

from __future__ import annotations

from collections.abc import Iterable

from resgen.cli.streams import say
from resgen.errors import CheckFailed
from resgen.plan import Plan
from resgen.proof import Proof, effort


def proved(plan: Plan) -> Proof:
    """The proof of a network, measured; a line beforehand where that takes long."""
    if line := effort.notice(plan):
        say(line, err=True)
    from resgen.proof import prove
    from resgen.source.module import build_undrawn

    return prove(plan, build_undrawn(plan))


def enforce_proofs(found: Iterable[tuple[Plan, Proof | None]]) -> None:
    """Raises CheckFailed for the first part of a proof that does not hold."""
    for plan, proof in found:
        for check in proof.checks if proof else ():
            if not check.holds:
                raise CheckFailed(f"{plan.name}: {check.name}: {check.text}")
