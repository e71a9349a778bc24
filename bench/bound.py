"""The bound in bits of what a network codes, and the record of it that a card holds."""

from functools import partial

import torch
from torch import Tensor

from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.results import Result
from diffusion_lesson.process import elbo
from diffusion_lesson.process.gaussian import discretized_log_prob

PICTURES = 1000  # of the test pictures, at most: each costs T calls
TOGETHER = 100  # pictures in one ledger


def coded(
    denoiser: Denoiser, card: Card, x: Tensor, labels: Tensor, *, steps: int | None = None
) -> dict[str, Tensor]:
    """Bits per dimension of each x, whole and in parts: the ledger with β̃, x̂_0 kept in [−1, 1].

    steps: None visits all t. A count visits as many, drawn anew for each hundred pictures.
    """
    decoder = partial(discretized_log_prob, levels=card.levels)
    generator, found = torch.Generator().manual_seed(0), []
    for part, given in zip(x.split(TOGETHER), labels.split(TOGETHER), strict=True):
        ledger = elbo.ledger(
            denoiser.schedule,
            part,
            denoiser.eps_model(given if denoiser.classes else None),
            variance="beta_tilde",
            decoder=decoder,
            steps=steps,
            generator=generator,
        )
        parts = torch.stack([ledger.total(), ledger.prior, ledger.denoising_sum(), ledger.reconstruction])
        found.append(torch.stack([elbo.bits_per_dim(nats, part) for nats in parts]))
    return dict(zip(("total", "L_T", "sum of L_{t-1}", "L_0"), torch.cat(found, 1), strict=True))


def mean_error(each: Tensor, *, together: int = 1) -> Tensor:
    """The standard error of the mean of `each`; `together`: as many in a row share drawn t, and so their luck."""
    means = torch.stack([part.mean() for part in each.split(together)])
    return means.std() / len(means) ** 0.5


def record(card: Card, each: dict[str, Tensor], *, out_of: int, steps: int | None = None) -> Result:
    """A record for a card: the means of what `coded` found, and how far the total varies between pictures."""
    total, given = each["total"], ", given the label" if card.config["classes"] else ""
    which = "all test pictures" if len(total) == out_of else "test pictures drawn at random"
    visited = "all t" if steps is None else f"{steps} t drawn for each {TOGETHER} pictures"
    error = mean_error(total, together=1 if steps is None else TOGETHER)
    spread = {"standard error": error, "from picture to picture": total.std()}
    parts = {name: values.mean() for name, values in each.items() if name != "total"} | spread
    return Result(
        metric="bits_per_dim", values=(round(total.mean().item(), 4),), n=len(total),
        how=f"σ² = β̃{given}, {visited}, {which}", parts={name: round(v.item(), 4) for name, v in parts.items()},
    )  # fmt: skip
