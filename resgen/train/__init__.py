"""A network and a recipe -> a run folder, through torch.

Four rooms, each knowing only those before it: `recipe` (how to train), `device` (where it
runs), `data` (images to batches), `run` (a run and its folder). None prints or exits.
"""
