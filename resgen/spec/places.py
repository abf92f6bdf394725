"""Where an attention may stand: its positions that ask for something of the block."""

from __future__ import annotations

from resgen.spec.settings import BlockSettings

_NORM_LAST = ("original", "relu-before-add", "relu-around-add", "linear", "relu-preact")
"""The orders that put a norm behind a block's last convolution."""


def no_place(settings: BlockSettings, position: str) -> str:
    """Why an attention cannot stand there; nothing where it can."""
    if position == "shortcut" and settings.shortcut.kind == "none":
        return "a block without a shortcut has none to attend to; give it one, or another position"
    norms = settings.norm.kind != "none" and settings.order in _NORM_LAST
    if position == "before-norm" and not norms:
        return (
            "before-norm needs a norm behind the last convolution; "
            f"order {settings.order} with norm {settings.norm.kind} has none"
        )
    return ""
