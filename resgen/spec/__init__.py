"""What the user wrote, validated: YAML text -> Spec. If a Spec exists, it is sound.

Knows YAML, the keys and the rules between them, and where each value was written; must not
know torch, nor what layers a network has.
"""

from resgen.spec.loading import load_spec
from resgen.spec.model import Spec

__all__ = ["Spec", "load_spec"]
