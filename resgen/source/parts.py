"""Modules that torch does not have, copied word for word into the files that use them.

resgen never imports this file to resolve or cost a network: the renderer reads it as
text. Each class stands alone (but for the classes of this file that it names), so that
its text is all an emitted file needs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PaddedIdentity(nn.Module):
    """y = x[:, :, ::stride, ::stride], zeros in the new channels."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))


class SqueezeExcitation(nn.Module):
    """y = x * sigmoid(fc2(activation(fc1(mean(x)))))."""

    def __init__(self, channels: int, squeeze: int, activation: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)
        y = self.fc2(self.act(self.fc1(y)))
        return x * torch.sigmoid(y)


class EfficientChannelAttention(nn.Module):
    """y = x * sigmoid(conv(mean(x))), the convolution sliding over the channels."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3)).unsqueeze(1)
        y = torch.sigmoid(self.conv(y)).view(x.shape[0], -1, 1, 1)
        return x * y


class BlurPool2d(nn.Module):
    """y = the 3x3 filter [1 2 1] x [1 2 1] / 16 of each channel, then a stride."""

    kernel: Tensor

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        row = torch.tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(row, row).repeat(channels, 1, 1, 1)
        self.register_buffer("kernel", kernel, persistent=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.kernel, stride=self.stride, groups=x.shape[1])


class StandardizedConv2d(nn.Conv2d):
    """y = ((W - mean(W)) / std(W)) * x, mean and std over each output channel."""

    def forward(self, input: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        flat = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-8)
        y: Tensor = self._conv_forward(input, flat.reshape_as(self.weight), self.bias)
        return y


class DropPath(nn.Module):
    """y = 0 for a whole image at the given rate, x / (1 - rate) else; x in evaluation."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
        return x * (kept / keep)


class Scale(nn.Module):
    """y = factor * x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Gate(nn.Module):
    """g = sigmoid(W x + b), a 1x1 convolution whose bias starts at the given value."""

    def __init__(self, channels: int, bias: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        nn.init.constant_(self.conv.bias, bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x))


class ShortcutGate(nn.Module):
    """y = (1 - g(x)) * x."""

    def __init__(self, channels: int, bias: float) -> None:
        super().__init__()
        self.gate = Gate(channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(x)
        return (1.0 - gate) * x
