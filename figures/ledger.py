"""The ledger: what each term of the bound costs on real digits, for a closed-form model."""

from functools import partial
from pathlib import Path

import torch

from diffusion_lesson.learning import data
from diffusion_lesson.page import plots
from diffusion_lesson.process import elbo, exact, schedule
from diffusion_lesson.process.gaussian import discretized_log_prob
from diffusion_lesson.process.prediction import clipped
from figures.style import save


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    train, test = data.digits("train"), data.digits("test")
    x_train = data.to_signed(train.images, train.levels).double()
    x_test = data.to_signed(test.images[:40], test.levels).double()
    n = len(x_train)
    # A cloud of spread 0.3 around each training digit: a world whose best ε is known, and that allows new digits.
    spread = torch.full((n,), 0.3**2, dtype=torch.float64)
    clouds = exact.Mixture(torch.full((n,), 1 / n, dtype=torch.float64), x_train, spread)
    cosine = schedule.cosine(200)
    ledger = elbo.ledger(
        cosine,
        x_test,
        clipped(cosine, clouds.eps_model(cosine)),
        decoder=partial(discretized_log_prob, levels=test.levels),
        generator=torch.Generator().manual_seed(0),
    )
    figure = plots.ledger_bars(ledger, dims=64)
    figure.set_size_inches(8.4, 2.8)
    return save(
        figure,
        __file__,
        folder,
        title="The ledger",
        alt="Left, three bars in bits per dimension: the prior term next to nothing, the denoising terms nearly "
        "all, the reconstruction term small. Right, the denoising term of each step on a "
        "logarithmic axis, falling with t",
    )


if __name__ == "__main__":
    build()
