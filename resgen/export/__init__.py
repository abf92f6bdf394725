"""A network, trained or not -> a file that others can use, checked before it is there.

Knows Plans, weights and the formats of programs; must not know training, nor how a check is shown.
"""

from resgen.export.forms import ENDINGS, Order, check_order, missing_weights, written
from resgen.export.subject import read

__all__ = ["ENDINGS", "Order", "check_order", "missing_weights", "read", "written"]
