"""Network + recipe + data -> run folder: checkpoints, one JSON line an epoch, figures."""
