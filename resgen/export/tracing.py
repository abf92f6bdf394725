"""A module -> the program that torch.export makes of it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import ExportedProgram

from resgen.plan import Plan


def export(module: nn.Module, plan: Plan) -> ExportedProgram:
    """The module traced with two images; the number of images stays open."""
    images = torch.zeros(2, *plan.input)
    with quiet():
        return torch.export.export(
            module, (images,), dynamic_shapes=({0: torch.export.Dim("images")},)
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's own words about its insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
