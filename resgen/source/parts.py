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


class OffsetIdentity(nn.Module):
    """y = x[:, :, ::h, ::w], zeros in the new channels, `before` of them ahead of x's."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int | tuple[int, int] = 1,
        before: int = 0,
    ) -> None:
        super().__init__()
        self.before, self.behind = before, out_channels - in_channels - before
        self.h, self.w = stride if isinstance(stride, tuple) else (stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.h, :: self.w]
        return F.pad(x, (0, 0, 0, 0, self.before, self.behind))


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


class PooledIdentity(nn.Module):
    """y = the mean of each stride x stride square of x, zeros in the new channels."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))


class LayerNorm2d(nn.LayerNorm):
    """y = gamma (x - mean) / std + beta, each pixel over its channels."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ResponseNorm(nn.Module):
    """y = x + gamma x n + beta, n = |x_c| over the mean of all |x_c|."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        n = size / size.mean(1, keepdim=True).clamp(min=1e-6)
        gain = torch.addcmul(torch.ones_like(n), n, self.weight.view(1, -1, 1, 1))
        return torch.addcmul(self.bias.view(1, -1, 1, 1), x, gain)


class LearnedScale(nn.Module):
    """y = gamma x (+ beta), for each channel or, with one channel, for all."""

    def __init__(self, channels: int, value: float, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), value))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.view(1, -1, 1, 1)
        if self.bias is None:
            return x * weight
        return torch.addcmul(self.bias.view(1, -1, 1, 1), x, weight)


class ChannelConv(nn.Conv1d):
    """y = w * x along the channels of a 1x1 image: one filter, no bias."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        y: Tensor = super().forward(input.flatten(1).unsqueeze(1))
        return y.view(input.shape[0], -1, 1, 1)


class ScaledConv2d(nn.Conv2d):
    """y = (gain (W - mean(W)) / (std(W) sqrt(fan-in))) * x, by output channel."""

    def __init__(self, *args: int, **named: int) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))
        self.factor = self.weight[0].numel() ** -0.5

    def forward(self, input: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        gain = self.gain.flatten() * self.factor
        flat = F.batch_norm(flat, None, None, gain, None, True, 0.0, 1e-6)
        y: Tensor = self._conv_forward(input, flat.reshape_as(self.weight), self.bias)
        return y


class Shift(nn.Module):
    """y = x moved up and left by so many pixels, zeros behind."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, x: Tensor) -> Tensor:
        k = self.pixels
        return F.pad(x[:, :, k:, k:], (0, k, 0, k))


class Shake(nn.Module):
    """y = sum a_i x_i, a drawn for each image, anew for the gradient; else the mean."""

    def forward(self, *paths: Tensor) -> Tensor:
        x = torch.stack(paths)
        if not self.training:
            return x.mean(0)
        ahead, back = self.weights(x), self.weights(x)
        y: Tensor = (back * x).sum(0)
        return y + ((ahead * x).sum(0) - y).detach()

    def weights(self, x: Tensor) -> Tensor:
        a = torch.rand(*x.shape[:2], 1, 1, 1, device=x.device, dtype=x.dtype)
        return a / a.sum(0)


class Select(nn.Module):
    """y = sum a_i x_i, a = softmax(fc2(act(bn(fc1(mean(sum x_i)))))), by channel."""

    def __init__(
        self,
        channels: int,
        squeeze: int,
        branches: int,
        norm: nn.Module,
        activation: nn.Module,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze, 1, bias=bias)
        self.bn = norm
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, branches * channels, 1, bias=bias)

    def forward(self, *paths: Tensor) -> Tensor:
        x = torch.stack(paths, 1)
        y = x.sum(1).mean((2, 3), keepdim=True)
        weights = self.fc2(self.act(self.bn(self.fc1(y)))).view(*x.shape[:3], 1, 1)
        total: Tensor = (x * weights.softmax(1)).sum(1)
        return total
