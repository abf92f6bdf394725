"""Norms and activations that torch does not have, copied word for word as those of `parts`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ThresholdedLinearUnit(nn.Module):
    """y = max(x, tau), tau of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.tau.to(x.dtype).view(1, -1, 1, 1))


class PixelNorm2d(nn.LayerNorm):
    """y = gamma (x - mean) / std + beta, each pixel over its channels."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class FrozenBatchNorm2d(nn.Module):
    """y = gamma (x - mean) / std + beta, all of them buffers that nothing changes."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        scale, shift = (v.to(x.dtype).view(1, -1, 1, 1) for v in (scale, shift))
        return torch.addcmul(shift, x, scale)


class InstanceBatchNorm2d(nn.Module):
    """y = instance norm of the first channels, batch norm of the rest."""

    def __init__(
        self,
        num_features: int,
        *,
        share: float = 0.5,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        first = int(num_features * share)
        self.IN = nn.InstanceNorm2d(first, eps=eps, affine=True)
        self.BN = nn.BatchNorm2d(num_features - first, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        first = self.IN.num_features
        return torch.cat((self.IN(x[:, :first]), self.BN(x[:, first:])), 1)


class FilterResponseNorm2d(nn.Module):
    """y = gamma x / rms + beta, the rms of each channel of each image."""

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        own = (self.weight, self.bias)
        gamma, beta = (p.to(x.dtype).view(1, -1, 1, 1) for p in own)
        square = x.float().square().mean((2, 3), keepdim=True)
        return torch.addcmul(beta, x * (square + self.eps).rsqrt().to(x.dtype), gamma)


class EvoNorm2dB0(nn.Module):
    """y = gamma x / max(std of the batch, v x + std of the image) + beta."""

    running_var: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.v = nn.Parameter(torch.ones(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.eps, self.momentum = eps, 0.1

    def forward(self, x: Tensor) -> Tensor:
        own = (self.weight, self.bias, self.v)
        gamma, beta, v = (p.to(x.dtype).view(1, -1, 1, 1) for p in own)
        full, var = x.float(), self.running_var
        if self.training:
            var, count = full.var((0, 2, 3), correction=0), x[:, 0].numel()
            self.running_var.lerp_(var.detach() * (count / (count - 1)), self.momentum)
        batch = (var + self.eps).sqrt().to(x.dtype).view(1, -1, 1, 1)
        image = full.var((2, 3), correction=0, keepdim=True)
        image = (image + self.eps).sqrt().to(x.dtype)
        y = x / torch.maximum(batch, torch.addcmul(image, x, v))
        return torch.addcmul(beta, y, gamma)


class EvoNorm2dS0(nn.Module):
    """y = gamma x sigmoid(v x) / std + beta, std of groups of channels of an image."""

    def __init__(
        self,
        num_groups: int,
        num_features: int,
        *,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.v = nn.Parameter(torch.ones(num_features))
        self.num_groups, self.eps = num_groups, eps

    def forward(self, x: Tensor) -> Tensor:
        own = (self.weight, self.bias, self.v)
        gamma, beta, v = (p.to(x.dtype).view(1, -1, 1, 1) for p in own)
        groups = (x.shape[0], self.num_groups, -1)
        var = x.float().reshape(groups).var(2, correction=0, keepdim=True)
        y = (x * torch.sigmoid(v * x)).reshape(groups)
        y = y / (var + self.eps).sqrt().to(x.dtype)
        return torch.addcmul(beta, y.reshape(x.shape), gamma)
