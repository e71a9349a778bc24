"""A small GAN: a generator that draws by transposed convolutions, a discriminator that looks, and their fight."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_lesson.shapes import Batch


def _stages(size: int) -> int:
    """How often `size` halves before it is 7 or less: 8 → 1 (from 4), 28 → 2 (from 7), 32 → 3 (from 4)."""
    halvings = 0
    while size > 7 and size % 2 == 0:
        size, halvings = size // 2, halvings + 1
    if size not in (4, 5, 6, 7) or halvings == 0:
        raise ValueError(f"size: expected 4 to 7 times a power of two, 8 or more, got {size * 2**halvings}")
    return halvings


class Generator(nn.Module):
    """G(z): latent (B, latent) → picture (B, channels, size, size) in [−1, 1] (arXiv:1511.06434)."""

    def __init__(self, latent: int, width: int, size: int, channels: int = 1) -> None:
        super().__init__()
        self.latent, stages = latent, _stages(size)
        top = width * 2 ** (stages - 1)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)),
            nn.ConvTranspose2d(latent, top, size // 2**stages, bias=False),  # 1×1 → the smallest square
            nn.BatchNorm2d(top),
            nn.ReLU(),
        ]
        for stage in range(stages - 1):
            wide = top // 2**stage
            layers += [
                nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1, bias=False),  # doubles the side
                nn.BatchNorm2d(wide // 2),
                nn.ReLU(),
            ]
        layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Batch) -> Tensor:
        """The picture that z draws."""
        return self.layers(z)


class Discriminator(nn.Module):
    """D(x) as a logit: picture (B, channels, size, size) → (B,); sigmoid of it is "how likely is x real"."""

    def __init__(self, width: int, size: int, channels: int = 1) -> None:
        super().__init__()
        stages = _stages(size)
        layers: list[nn.Module] = []
        for stage in range(stages):
            narrow = channels if stage == 0 else width * 2 ** (stage - 1)
            layers += [nn.Conv2d(narrow, width * 2**stage, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        layers += [nn.Flatten(), nn.Linear(width * 2 ** (stages - 1) * (size // 2**stages) ** 2, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Batch) -> Tensor:
        """The logit of "x is real", (B,)."""
        return self.layers(x).squeeze(1)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """−E ln D(x) − E ln(1 − D(G(z))), from logits (B,). arXiv:1406.2661 eq. 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """−E ln D(G(z)), from logits (B,): the non-saturating loss. arXiv:1406.2661 section 3."""
    return F.softplus(-fake).mean()


def alternating_step(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: torch.optim.Optimizer,
    discriminator_optimizer: torch.optim.Optimizer,
    *,
    real: Tensor,
    z: Tensor,
) -> tuple[float, float]:
    """One step of the discriminator, then one of the generator against it. Returns their losses (d, g)."""
    fake = generator(z)
    d_loss = discriminator_loss(discriminator(real), discriminator(fake.detach()))
    discriminator_optimizer.zero_grad()
    d_loss.backward()
    discriminator_optimizer.step()

    g_loss = generator_loss(discriminator(fake))
    generator_optimizer.zero_grad()
    g_loss.backward()
    generator_optimizer.step()
    return d_loss.item(), g_loss.item()
