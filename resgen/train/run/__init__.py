"""A run and its folder: what is fixed, what changes, what moves it, and what one sees of it.

Knows all the other rooms of training; must not read the command line, print or exit.
"""
