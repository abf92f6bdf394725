"""Many runs -> which differ only in seed, how far these spread, and what differs between others.

Knows the plain files of a run folder; must not know torch, read the command line, print or exit.
"""
