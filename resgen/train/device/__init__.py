"""Where a run takes place: device, precision, layout, one process of many, its memory.

Must not know recipes, images or run folders.
"""
