"""Files of named tensors: our checkpoints, whole or absent, under a hash.

Knows torch and files; must not know what a network, a spec or a training run is.
"""
