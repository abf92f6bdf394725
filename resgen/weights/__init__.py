"""Named tensors -> a module of ours, by name, or the spec that has them; none is left out.

Knows the names other libraries use, the shapes of shipped networks, what of a Plan is its
classifier, and with which weights a layer is the identity; must not know files' formats, nor
training.
"""

from resgen.weights.identify import Identified, identified
from resgen.weights.keys import KEY_MAPS
from resgen.weights.loading import LoadReport, init_from, load_weights

__all__ = ["KEY_MAPS", "Identified", "LoadReport", "identified", "init_from", "load_weights"]
