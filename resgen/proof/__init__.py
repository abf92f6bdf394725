"""The closed form against the plain twin and against what was measured.

Knows the books of a Plan and, in `measure` alone, fvcore and torch's counter; must not know
how its verdict is shown.
"""

from resgen.proof.proof import Check, Proof, prove

__all__ = ["Check", "Proof", "prove"]
