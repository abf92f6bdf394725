"""Others' names for tensors -> ours, a table for each library.

Our names are torchvision's and timm's for ResNet, ResNeXt, wide, D, S, SE, ECA, RS and
antialiased networks, whose files load as they are. Where the libraries name things
otherwise (RegNet, pre-activation), a key map says how.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One renaming: where the pattern stands, `name` with the numbers found, each shifted."""

    pattern: str
    name: str
    shift: tuple[int, ...] = ()

    def rename(self, key: str) -> str:
        """The key with the first place of the pattern renamed."""

        def named(match: re.Match[str]) -> str:
            if any(len(text) > _DIGITS for text in match.groups()):
                return match[0]
            numbers = zip(match.groups(), self.shift, strict=True)
            return self.name.format(*(int(text) + by for text, by in numbers))

        return re.sub(self.pattern, named, key, count=1)


_DIGITS = 9
"""The most of a number in a name; Python refuses to read one of thousands."""

_CLASSIFIER = Row(r"^head\.fc\.", "fc.")

_TIMM_RESNETV2 = (
    Row(r"^stem\.conv\.", "conv1."),
    Row(r"^stem\.norm\.", "bn1."),
    Row(r"^stem\.conv1\.", "conv1.0."),
    Row(r"^stem\.norm1\.(?=tau)", "conv1.2."),
    Row(r"^stem\.norm2\.(?=tau)", "conv1.5."),
    Row(r"\.norm(\d)\.(?=tau)", ".act{}.", (0,)),
    Row(r"^norm\.(?=tau)", "final_act."),
    Row(r"^stem\.norm1\.", "conv1.1."),
    Row(r"^stem\.conv2\.", "conv1.3."),
    Row(r"^stem\.norm2\.", "conv1.4."),
    Row(r"^stem\.conv3\.", "conv1.6."),
    Row(r"^stages\.(\d+)\.blocks\.(\d+)\.", "layer{}.{}.", (1, 0)),
    Row(r"\.norm(\d)\.", ".bn{}.", (0,)),
    Row(r"^norm\.", "final_bn."),
    _CLASSIFIER,
)

KEY_MAPS: dict[str, tuple[Row, ...]] = {
    "as they are": (),
    "torchvision RegNet": (
        Row(r"^stem\.0\.", "conv1."),
        Row(r"^stem\.1\.", "bn1."),
        Row(r"^trunk_output\.block(\d+)\.block\d+-(\d+)\.", "layer{}.{}.", (0, 0)),
        Row(r"\.proj\.(\d)\.", ".downsample.{}.", (0,)),
        Row(r"\.f\.a\.0\.", ".conv1."),
        Row(r"\.f\.a\.1\.", ".bn1."),
        Row(r"\.f\.b\.0\.", ".conv2."),
        Row(r"\.f\.b\.1\.", ".bn2."),
        Row(r"\.f\.se\.", ".se."),
        Row(r"\.f\.c\.0\.", ".conv3."),
        Row(r"\.f\.c\.1\.", ".bn3."),
    ),
    "timm RegNet": (
        Row(r"^stem\.conv\.", "conv1."),
        Row(r"^stem\.bn\.", "bn1."),
        Row(r"^stem\.(?=weight)", "conv1."),
        Row(r"^s(\d+)\.b(\d+)\.", "layer{}.{}.", (0, -1)),
        Row(r"\.downsample\.(?=weight)", ".downsample.0."),
        Row(r"\.downsample\.conv\.", ".downsample.0."),
        Row(r"\.downsample\.bn\.", ".downsample.1."),
        Row(r"\.downsample\.1\.conv\.", ".downsample.1."),
        Row(r"\.downsample\.1\.bn\.", ".downsample.2."),
        Row(r"\.conv(\d)\.conv\.", ".conv{}.", (0,)),
        Row(r"\.conv(\d)\.bn\.", ".bn{}.", (0,)),
        Row(r"\.norm(\d)\.", ".bn{}.", (0,)),
        Row(r"^final_conv\.conv\.", "head_conv."),
        Row(r"^final_conv\.bn\.", "head_bn."),
        _CLASSIFIER,
    ),
    "timm ResNetV2": (*_TIMM_RESNETV2, Row(r"\.downsample\.conv\.", ".downsample.0.")),
    "timm ResNetV2, pooled shortcuts": (
        *_TIMM_RESNETV2,
        Row(r"\.downsample\.conv\.", ".downsample.1."),
    ),
    "timm ResNetV2, pooled shortcuts, activations in norms": (
        Row(r"^stem\.conv2\.", "conv1.2."),
        Row(r"^stem\.norm2\.", "conv1.3."),
        Row(r"^stem\.conv3\.", "conv1.4."),
        *_TIMM_RESNETV2,
        Row(r"\.downsample\.conv\.", ".downsample.1."),
    ),
    "timm ByobNet": (
        Row(r"^stem\.conv(\d)\.conv\.", "conv{}.", (0,)),
        Row(r"^stem\.conv(\d)\.bn\.", "bn{}.", (0,)),
        Row(r"^stages\.(\d+)\.(\d+)\.", "layer{}.{}.", (1, 0)),
        Row(r"\.conv(\d)_\w+\.conv\.", ".conv{}.", (0,)),
        Row(r"\.conv(\d)_\w+\.bn\.", ".bn{}.", (0,)),
        Row(r"\.shortcut\.conv\.", ".downsample.0."),
        Row(r"\.shortcut\.bn\.", ".downsample.1."),
        Row(r"\.attn\.(?:mlp_(?:add|scale)\.)?", ".se."),
        Row(r"^final_conv\.conv\.", "head_conv."),
        Row(r"^final_conv\.bn\.", "head_bn."),
        _CLASSIFIER,
    ),
    # A projection's pool has no number there.
    "CLIP": (
        Row(r"^visual\.", ""),
        Row(r"\.downsample\.(\d)\.", ".downsample.{}.", (1,)),
    ),
}

# What wrappers of a module put before its names.
WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")


def rename(key: str, rows: Sequence[Row]) -> str:
    """A name of a file as ours: wrappers stripped, then every row in turn."""
    key = WRAPPERS.sub("", key)
    for row in rows:
        key = row.rename(key)
    return key
