"""What `resgen train` imports on its way, imported once for all processes forked from here."""

import fvcore.nn
import matplotlib.backends.backend_agg
import matplotlib.figure
import rich.progress
import sklearn.datasets
import torch.distributed
import torch.nn.parallel
import torchvision.transforms.v2

from resgen.cli import main
from resgen.source import module
from resgen.train.data import filefeed
from resgen.train.run import runs

__all__ = [
    "filefeed", "fvcore", "main", "matplotlib", "module", "rich", "runs", "sklearn", "torch",
    "torchvision",
]  # fmt: skip
