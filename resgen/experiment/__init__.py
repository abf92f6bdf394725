"""Experiments: networks, how they are trained, what is claimed of them, and whether it holds.

Must not know how a network is trained: a run is a command of `resgen train`, and what came of it
is read from its folder.
"""

from resgen.experiment.model import Experiment, read_experiment

__all__ = ["Experiment", "read_experiment"]
