"""Attentions as modules, copied word for word into the files that use them; see `parts`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resgen.source.parts import LayerNorm2d


class GatedSqueezeExcitation(nn.Module):
    """y = x * gate(fc2(activation(fc1(mean(x)))))."""

    def __init__(
        self,
        channels: int,
        squeeze: int,
        activation: nn.Module,
        gate: nn.Module,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze, 1, bias=bias)
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, channels, 1, bias=bias)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)
        y = self.fc2(self.act(self.fc1(y)))
        gate: Tensor = self.gate(y)
        return x * gate


class ChannelAttention(nn.Module):
    """y = x * sigmoid(f(mean(x)) + f(max(x))), f(z) = fc2(activation(fc1(z)))."""

    def __init__(
        self, channels: int, squeeze: int, activation: nn.Module, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze, 1, bias=bias)
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        pooled = (x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True))
        y = self.fc2(self.act(self.fc1(torch.cat(pooled, 3))))
        return x * torch.sigmoid(y.sum(3, keepdim=True))


class SpatialAttention(nn.Module):
    """y = x * sigmoid(bn(conv([max(x), mean(x)]))), max and mean over the channels."""

    def __init__(
        self,
        kernel_size: int,
        norm: nn.Module,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=bias)
        self.bn = norm

    def forward(self, x: Tensor) -> Tensor:
        planes = (x.amax(1, keepdim=True), x.mean(1, keepdim=True))
        return x * torch.sigmoid(self.bn(self.conv(torch.cat(planes, 1))))


class GlobalContext(nn.Module):
    """y = x + fc2(act(norm(fc1(c)))), c = sum_i softmax(conv_attn(x))_i x_i."""

    def __init__(self, channels: int, squeeze: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv_attn = nn.Conv2d(channels, 1, 1)
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.norm = LayerNorm2d(squeeze)
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.conv_attn(x).flatten(2).softmax(2).transpose(1, 2)
        context = (x.flatten(2) @ weights).unsqueeze(3)
        y: Tensor = self.fc2(self.act(self.norm(self.fc1(context))))
        return x + y


class GlobalContextGate(nn.Module):
    """y = x sigmoid(fc2(act(norm(fc1(c))))), c = sum_i softmax(conv_attn(x))_i x_i."""

    def __init__(self, channels: int, squeeze: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv_attn = nn.Conv2d(channels, 1, 1)
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.norm = LayerNorm2d(squeeze)
        self.act = activation
        self.fc2 = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.conv_attn(x).flatten(2).softmax(2).transpose(1, 2)
        context = (x.flatten(2) @ weights).unsqueeze(3)
        y = self.fc2(self.act(self.norm(self.fc1(context))))
        return x * torch.sigmoid(y)


class AttentionPool(nn.Module):
    """y = c_proj(softmax(q k' / sqrt(d)) v), q of the mean, by heads of d channels."""

    def __init__(self, channels: int, width: int, *, heads: int, area: int) -> None:
        super().__init__()
        positions = torch.randn(area + 1, channels) / channels**0.5
        self.positional_embedding = nn.Parameter(positions)
        self.k_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, width)
        self.heads, self.scale = heads, (channels // heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((x.mean(1, keepdim=True), x), 1) + self.positional_embedding
        projected = (self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x))
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in projected)
        scores = q @ k.transpose(2, 3) * self.scale
        y = scores.softmax(3) @ v
        pooled: Tensor = self.c_proj(y.flatten(1))
        return pooled
