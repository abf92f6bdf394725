"""Tensors of a file -> a module of ours, by name; nothing is silently left out.

Knows the names other libraries use and what of a Plan is its classifier; must not know
training.
"""

from resgen.weights.weights import KEY_MAPS, LoadReport, init_from, load_weights, read_weights

__all__ = ["KEY_MAPS", "LoadReport", "init_from", "load_weights", "read_weights"]
