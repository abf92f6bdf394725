"""How to train: a recipe's keys and rules, the rate at a step, who is decayed, the optimizers.

Must not know images, devices or what network is trained.
"""

from resgen.train.recipe.keys import Recipe, read_recipe

__all__ = ["Recipe", "read_recipe"]
