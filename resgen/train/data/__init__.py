"""Images -> batches: readers, order, augmentation and feeds, all a function of seed and step.

Must not know networks, optimizers or run folders.
"""
