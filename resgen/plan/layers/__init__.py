"""The table of layer kinds: for each its torch call, its output shape and its cost.

One class is one row. An instance holds the arguments of one layer, in the names and
the order of the torch call it is written as, so that nothing else in the project has
to know how a layer is spelled, shaped or counted. Torch is not needed for any of it.

Shapes are (channels, height, width) of one image; vectors are (features,).
"""

from __future__ import annotations

from resgen.plan.layers.activations import *  # noqa: F403
from resgen.plan.layers.attention import *  # noqa: F403
from resgen.plan.layers.base import Layer as Layer
from resgen.plan.layers.base import Mismatch as Mismatch
from resgen.plan.layers.base import Op as Op
from resgen.plan.layers.base import Shape as Shape
from resgen.plan.layers.base import chain as chain
from resgen.plan.layers.base import elements as elements
from resgen.plan.layers.composite import *  # noqa: F403 - whatever kinds stand there
from resgen.plan.layers.context import *  # noqa: F403
from resgen.plan.layers.joins import *  # noqa: F403
from resgen.plan.layers.norms import *  # noqa: F403
from resgen.plan.layers.paths import *  # noqa: F403
from resgen.plan.layers.weighted import *  # noqa: F403
from resgen.plan.layers.weightless import *  # noqa: F403
