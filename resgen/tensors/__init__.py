"""Files of named tensors: our checkpoints, whole or absent, under a hash, and others' weights.

Knows torch and files; must not know what a network, a spec or a training run is.
"""

from resgen.tensors.formats import read_weights

__all__ = ["read_weights"]
