"""The U-Net: a noisy picture and its step go in, a picture-shaped prediction comes out.

x_t (B, C, H, W)                                                  prediction (B, C, H, W)
  └─ stem ── block ───────────────── skip ───────────────────────── block ── head ─┘
           └ downsample ── block ─── skip ─── block ── upsample ┘
                             └─── middle block ───┘
t (B,) ─ waves ─ MLP ─┐
labels (B,) ─ table ──┴→ to every block
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from diffusion_lesson.networks.names import current_name
from diffusion_lesson.shapes import Batch, Labels, readable


def time_features(t: Int[Tensor, " B"], size: int) -> Tensor:
    """sin(ω_k t) and cos(ω_k t), ω_k = 10000^(−k/(size/2)), k = 0..size/2 − 1: (B, size) float32.

    Slow waves tell early from late, fast ones tell neighbours apart (arXiv:1706.03762 section 3.5).
    """
    half = size // 2
    frequencies = torch.exp(-log(10_000) / half * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels), channels)


def _upsample(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice the height and the width."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels_in, channels_out, 3, padding=1)
    )


def _start_at_zero(conv: nn.Conv2d) -> None:
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)


class Block(nn.Module):
    """x + convolutions(x) at an embedded step: (B, channels_in, H, W) → (B, channels_out, H, W).

    The embedding scales and shifts the features between the two convolutions.
    """

    def __init__(self, channels_in: int, channels_out: int, embedding: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels_in), _norm(channels_out)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.scale_shift = nn.Linear(embedding, 2 * channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        _start_at_zero(self.conv2)  # at first every block is its shortcut alone

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """The residual block's output at the embedded step."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


class Attention(nn.Module):
    """x + self-attention over all places. (B, C, H, W) → the same."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.norm, self.heads = _norm(channels), heads
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        _start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Each place's features, with what it gathered from the others added."""
        b, c, h, w = x.shape
        parts = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = parts.transpose(-1, -2).unbind(1)  # each (B, heads, H·W, C/heads)
        gathered = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(b, c, h, w)
        return x + self.out(gathered)


class UNet(nn.Module):
    """ε_θ(x_t, t), or v or x_0: whichever it is trained to predict (arXiv:1505.04597; DDPM appendix B).

    channels_in: 1 grey, 3 colour. width: channels at the first level. mults: one level each, width · mult
    channels wide; each level after the first halves height and width. patch: space-to-depth, so that the
    first level works on patch × patch pixels at once (2 makes 28×28 affordable on a CPU). classes: > 0 for
    labels 0..classes−1, and `classes` itself for "no label". attention: self-attention in the middle.
    Height and width must be multiples of patch · 2^(levels − 1), and width and every width · mult of 8 (or 4).
    """

    def __init__(
        self,
        channels_in: int,
        width: int,
        *,
        mults: Sequence[int] = (1, 2),
        patch: int = 1,
        classes: int = 0,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.config = {
            "channels_in": channels_in, "width": width, "mults": list(mults),
            "patch": patch, "classes": classes, "attention": attention,
        }  # fmt: skip
        widths = [width * m for m in mults]
        if any(w != 4 and (w < 8 or w % 8) for w in (width, *widths)):
            raise ValueError(f"width: expected 4 or multiples of 8 at every level, got {widths}")
        if patch < 1:
            raise ValueError(f"patch: expected 1 or more, got {patch}")
        self.width, self.classes = width, classes
        self.multiple = patch * 2 ** (len(widths) - 1)
        embedding = 4 * width
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(classes + 1, embedding) if classes else None

        self.to_patches, self.to_pixels = nn.PixelUnshuffle(patch), nn.PixelShuffle(patch)
        self.stem = nn.Conv2d(channels_in * patch**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(Block(c, c, embedding) for c in widths)
        self.downsample = nn.ModuleList(
            [nn.Identity(), *(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))]
        )
        self.middle = Block(widths[-1], widths[-1], embedding)
        self.attention = Attention(widths[-1]) if attention else nn.Identity()
        self.upsample = nn.ModuleList([nn.Identity(), *(_upsample(b, a) for a, b in pairwise(widths))])
        self.up_blocks = nn.ModuleList(Block(2 * c, c, embedding) for c in widths)
        self.norm = _norm(widths[0])
        self.head = nn.Conv2d(widths[0], channels_in * patch**2, 3, padding=1)
        _start_at_zero(self.head)  # at first it predicts zero

    def forward(self, x: Batch, t: Int[Tensor, " B"], labels: Labels | None = None) -> Batch:
        """The prediction for x_t at step t, like x. labels: (B,), None for "no label"."""
        e = self._embedding(x, t, labels)
        h = self.stem(self.to_patches(x))  # (B, width, H/patch, W/patch)
        skips = []
        for downsample, block in zip(self.downsample, self.down_blocks, strict=True):
            h = block(downsample(h), e)
            skips.append(h)  # (B, width·mult, H/patch/2^level, …)
        h = self.attention(self.middle(h, e))
        for upsample, block in zip(reversed(self.upsample), reversed(self.up_blocks), strict=True):
            h = upsample(block(torch.cat([h, skips.pop()], dim=1), e))
        return self.to_pixels(self.head(F.silu(self.norm(h))))  # (B, C, H, W)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Take weights under their earlier names, too: those that ship and old checkpoints hold them."""
        for key in [key for key in state_dict if key.startswith(prefix)]:
            state_dict[prefix + current_name(key.removeprefix(prefix))] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _embedding(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        """What every block gets to know: the step, and the class if there are any. (B, 4·width)

        The labels' range is checked where that waits for nothing; elsewhere the look-up refuses a wrong one.
        """
        if x.ndim != 4 or x.shape[1] != self.config["channels_in"] or any(n % self.multiple for n in x.shape[2:]):
            raise ValueError(
                f"x: expected (B, {self.config['channels_in']}, H, W), H and W multiples of {self.multiple}, "
                f"got {tuple(x.shape)}"
            )
        for name, numbers in (("t", t), ("labels", labels)):
            if numbers is not None and (numbers.shape != x.shape[:1] or numbers.dtype.is_floating_point):
                got = f"{tuple(numbers.shape)} of {str(numbers.dtype).removeprefix('torch.')}"
                raise ValueError(f"{name}: expected one integer for each of {len(x)} pictures, got {got}")
        e = self.time(time_features(t.to(x.device), self.width).to(x.dtype))
        if self.label is None:
            if labels is not None:
                raise ValueError("labels: this network was made with classes=0 and takes none")
            return F.silu(e)
        if labels is None:
            labels = t.new_full(t.shape, self.classes, dtype=torch.int64)  # which t's own type may not reach
        labels = labels.long()
        if readable(labels) and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= self.classes:
            raise ValueError(f"labels: expected 0..{self.classes}, got {int(labels.min())}..{int(labels.max())}")
        return F.silu(e + self.label(labels.to(x.device)))
