"""The U-Net: a noisy picture and its step go in, a picture-shaped prediction comes out.

x_t (B, C, H, W)                                                  prediction (B, C, H, W)
  └─ stem ── block ───────────────── skip ───────────────────────── block ── head ─┘
           └ downsample ── block ─── skip ─── block ── upsample ┘
                             └─── middle block ───┘
t (B,) ─ waves ─ MLP ─┐
labels (B,) ─ table ──┴→ to every block

A large one has more behind each block: further blocks, and attention.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from diffusion_lesson.networks.names import current_name
from diffusion_lesson.networks.parts import Attention, Block, Chain, norm, start_at_zero, time_features, upsampler
from diffusion_lesson.shapes import Batch, Labels, beside, kind, readable


class UNet(nn.Module):
    """ε_θ(x_t, t), or v or x_0: whichever it is trained to predict (arXiv:1505.04597; DDPM appendix B).

    channels_in: 1 grey, 3 colour. width: channels at the first level. mults: one level each, width · mult
    channels wide; each level after the first halves height and width. patch: space-to-depth, so that the
    first level works on patch × patch pixels at once (2 makes 28×28 affordable on a CPU). classes: > 0 for
    labels 0..classes−1, and `classes` itself for "no label". attention: True for self-attention in the middle;
    or also behind every block where the features have one of these sides, (16,) say, on pictures of side `size`.
    blocks: on each level, down and up. dropout: see Block. heads: of the attention.
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
        attention: bool | Sequence[int] = False,
        size: int | None = None,
        blocks: int = 1,
        dropout: float = 0.0,
        heads: int = 4,
    ) -> None:
        super().__init__()
        at = [] if isinstance(attention, bool) else list(attention)
        self.config = {
            "channels_in": channels_in, "width": width, "mults": list(mults), "patch": patch, "classes": classes,
            "attention": at or bool(attention), "size": size, "blocks": blocks, "dropout": dropout, "heads": heads,
        }  # fmt: skip
        widths = [width * m for m in mults]
        if any(w != 4 and (w < 8 or w % 8) for w in (width, *widths)):
            raise ValueError(f"width: expected 4 or multiples of 8 at every level, got {widths}")
        if patch < 1:
            raise ValueError(f"patch: expected 1 or more, got {patch}")
        self.width, self.classes = width, classes
        self.multiple = patch * 2 ** (len(widths) - 1)
        sides = [(size or 0) / (patch * 2**level) for level in range(len(widths))]
        if not set(at) <= set(sides):
            raise ValueError(f"attention: expected True, False or some of the sides {sides} (of size), got {at}")
        if not 1 <= blocks <= 32:  # a card from elsewhere could ask for any number
            raise ValueError(f"blocks: expected 1 to 32, got {blocks}")
        embedding = 4 * width
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(classes + 1, embedding) if classes else None

        def more(c: int, side: float) -> Chain:
            """What stands behind the first block of a level."""
            look: list[type[nn.Module]] = [Attention] if side in at else []
            kinds = [*look, *[Block, *look] * (blocks - 1)]
            return Chain(
                Block(c, c, embedding, dropout) if kind is Block else Attention(c, heads) for kind in kinds
            )

        self.to_patches, self.to_pixels = nn.PixelUnshuffle(patch), nn.PixelShuffle(patch)
        self.stem = nn.Conv2d(channels_in * patch**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(Block(c, c, embedding, dropout) for c in widths)
        self.downsample = nn.ModuleList(
            [nn.Identity(), *(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))]
        )
        self.middle = Block(widths[-1], widths[-1], embedding, dropout)
        self.attention = Attention(widths[-1], heads) if attention else nn.Identity()
        self.upsample = nn.ModuleList([nn.Identity(), *(upsampler(b, a) for a, b in pairwise(widths))])
        self.up_blocks = nn.ModuleList(Block(2 * c, c, embedding, dropout) for c in widths)
        self.down_more = nn.ModuleList(map(more, widths, sides))
        self.up_more = nn.ModuleList(map(more, widths, sides))
        self.norm = norm(widths[0])
        self.head = nn.Conv2d(widths[0], channels_in * patch**2, 3, padding=1)
        start_at_zero(self.head)  # at first it predicts zero

    def forward(self, x: Batch, t: Int[Tensor, " B"], labels: Labels | None = None) -> Batch:
        """The prediction for x_t at step t, like x. labels: (B,), None for "no label"."""
        e = self._embedding(x, t, labels)
        h = self.stem(self.to_patches(x))  # (B, width, H/patch, W/patch)
        skips = []
        for downsample, block, more in zip(self.downsample, self.down_blocks, self.down_more, strict=True):
            h = more(block(downsample(h), e), e)
            skips.append(h)  # (B, width·mult, H/patch/2^level, …)
        h = self.attention(self.middle(h, e))
        ups = self.upsample, self.up_blocks, self.up_more
        for upsample, block, more in zip(*map(reversed, ups), strict=True):
            h = upsample(more(block(torch.cat([h, skips.pop()], dim=1), e), e))
        return self.to_pixels(self.head(F.silu(self.norm(h))))  # (B, C, H, W)

    def refuse_shape(self, x: Tensor, name: str) -> None:
        """ValueError where x has no shape that the network takes."""
        channels = self.config["channels_in"]
        if x.ndim != 4 or x.shape[1] != channels or any(n % self.multiple for n in x.shape[2:]):
            raise ValueError(
                f"{name}: expected (B, {channels}, H, W), H and W multiples of {self.multiple}, "
                f"got {tuple(x.shape)}"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Take weights under their earlier names, too: those that ship and old checkpoints hold them."""
        for key in [key for key in state_dict if key.startswith(prefix)]:
            state_dict[prefix + current_name(key.removeprefix(prefix))] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _embedding(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        """What every block gets to know: the step, and the class if there are any. (B, 4·width)

        The labels' range is checked where that waits for nothing; elsewhere the look-up refuses a wrong one.
        """
        self.refuse_shape(x, "x")
        own = self.stem.weight.dtype
        if x.dtype != own and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"x: expected {own}, as the weights are, got {x.dtype}".replace("torch.", ""))
        for name, numbers in (("t", t), ("labels", labels)):
            if name == "labels" and numbers is None:
                continue
            shape = numbers.shape if isinstance(numbers, Tensor) and not numbers.is_floating_point() else None
            if shape != x.shape[:1]:
                raise ValueError(
                    f"{name}: expected one integer for each of {len(x)} pictures, got {kind(numbers)}"
                )
        e = self.time(time_features(beside(t, x, "t"), self.width).to(x.dtype))
        if self.label is None:
            if labels is not None:
                raise ValueError("labels: this network was made with classes=0 and takes none")
            return F.silu(e)
        if labels is None:
            labels = t.new_full(t.shape, self.classes, dtype=torch.int64)  # which t's own type may not reach
        labels = labels.long()
        if readable(labels) and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= self.classes:
            raise ValueError(f"labels: expected 0..{self.classes}, got {int(labels.min())}..{int(labels.max())}")
        return F.silu(e + self.label(beside(labels, x, "labels")))
