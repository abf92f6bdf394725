"""A trained network and images -> its errors, and its answers: `evaluate` and `predict`.

Reads run folders and checkpoints and changes none; must not know how a run is made.
"""
