"""Many Plans: the shipped networks, a network fitted to a budget, networks drawn at random.

Knows specs and their cost; must not know torch or the command line.
"""
