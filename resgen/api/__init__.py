"""What `import resgen` gives: a network in any form -> what the rooms make of it.

Knows every room by its door, and torch only inside the functions that need it; must not decide
anything that a room could.
"""
