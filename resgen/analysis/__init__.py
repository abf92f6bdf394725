"""What a network has become by its training: responses, gradients, blocks dropped or zeroed.

Reads run folders, checkpoints and specs, and changes none; must not know how a figure is printed.
"""

from resgen.analysis.differing import Difference, difference
from resgen.analysis.dropping import Dropped, Drops, drops
from resgen.analysis.gradient import Gradient, Gradients, gradients
from resgen.analysis.looking import Asked
from resgen.analysis.response import Response, Responses, responses
from resgen.analysis.zeroing import Zeroed, Zeros, zeroed

__all__ = [
    "Asked",
    "Difference",
    "Dropped",
    "Drops",
    "Gradient",
    "Gradients",
    "Response",
    "Responses",
    "Zeroed",
    "Zeros",
    "difference",
    "drops",
    "gradients",
    "responses",
    "zeroed",
]
