"""Where networks are run: the options of every command that runs one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

if TYPE_CHECKING:
    from resgen.train.device.engine import Engine


@dataclass(frozen=True)
class Device:
    """The device, and how it computes."""

    PANEL = "Where it runs"

    device: Annotated[str, Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto"
    precision: Annotated[
        Literal["auto", "bf16", "fp16", "fp32"], Option(help="Of the convolutions.")
    ] = "auto"
    layout: Annotated[
        Literal["auto", "channels_last", "contiguous"], Option(help="Of images in memory.")
    ] = "auto"

    def chosen(self, compile: str = "off", local_rank: int = 0) -> Engine:
        """The engine of this process. Raises UserError for a device that is not there."""
        from resgen.train.device import engine

        chosen = engine.choose(
            device=self.device, precision=self.precision, layout=self.layout,
            compile=compile, local_rank=local_rank,
        )  # fmt: skip
        if chosen.device.type == "cpu":
            engine.keep_freed_memory()
        return chosen
