"""Closed forms over a Plan: params, MACs, activations, memory, and how others count them.

Knows the Plan's layers and arithmetic; must not know torch, files or how figures are shown.
"""

from resgen.cost.books import COUNTING, Cost, cost, cost_of_layers, shortcut_costs

__all__ = ["COUNTING", "Cost", "cost", "cost_of_layers", "shortcut_costs"]
