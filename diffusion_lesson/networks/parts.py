"""What a U-Net is made of: the waves of t, a block that hears them, attention, and chains of these."""

from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn


def time_features(t: Int[Tensor, " B"], size: int) -> Tensor:
    """sin(ω_k t) and cos(ω_k t), ω_k = 10000^(−k/(size/2)), k = 0..size/2 − 1: (B, size) float32.

    Slow waves tell early from late, fast ones tell neighbours apart (arXiv:1706.03762 section 3.5).
    """
    half = size // 2
    frequencies = torch.exp(-log(10_000) / half * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def norm(channels: int) -> nn.GroupNorm:
    """Eight groups, or one a channel where there are fewer."""
    return nn.GroupNorm(min(8, channels), channels)


def upsampler(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice the height and the width."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels_in, channels_out, 3, padding=1)
    )


def start_at_zero(conv: nn.Conv2d) -> None:
    """Let it say nothing at first."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)


class Block(nn.Module):
    """x + convolutions(x) at an embedded step: (B, channels_in, H, W) → (B, channels_out, H, W).

    The embedding scales and shifts the features between the two convolutions. dropout: the share of features
    that is left out before the second, while training.
    """

    def __init__(self, channels_in: int, channels_out: int, embedding: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm1, self.norm2 = norm(channels_in), norm(channels_out)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.scale_shift = nn.Linear(embedding, 2 * channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        start_at_zero(self.conv2)  # at first every block is its shortcut alone

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """The residual block's output at the embedded step."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class Attention(nn.Module):
    """x + self-attention over all places. (B, C, H, W) → the same."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(f"heads: expected a divisor of the {channels} channels, got {heads}")
        self.norm, self.heads = norm(channels), heads
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Each place's features, with what it gathered from the others added."""
        b, c, h, w = x.shape
        parts = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = parts.transpose(-1, -2).unbind(1)  # each (B, heads, H·W, C/heads)
        gathered = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(b, c, h, w)
        return x + self.out(gathered)


class Chain(nn.ModuleList):
    """Blocks and attention, one after the other; an empty chain is nothing. (B, C, H, W) → the same."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """What the last one makes of it."""
        for part in self:
            x = part(x, embedding) if isinstance(part, Block) else part(x)
        return x
