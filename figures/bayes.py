"""The three curves of Bayes' rule: prior from x_0, likelihood of x_t, posterior."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from diffusion_lesson.page import plots
from diffusion_lesson.process import schedule
from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.gaussian import Gaussian
from figures.style import save


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    ten = schedule.linear(10, 0.05, 0.45)
    t, x0, xt = torch.tensor([4]), torch.tensor([[-1.0]]).double(), torch.tensor([[1.0]]).double()
    s = ten.at(t, like=x0)
    curves = {
        "prior: the jump from $x_0 = -1$": (q_marginal(ten, t - 1, x0), "data"),
        "likelihood of $x_t = 1$": (Gaussian(xt / s.alpha.sqrt(), s.beta / s.alpha), "noise"),
        "posterior": (q_posterior(ten, t, xt=xt, x0=x0), "posterior"),
    }
    grid = torch.linspace(-3, 3.5, 400, dtype=torch.float64)[None]
    figure, axes = plt.subplots(figsize=(6.4, 3))
    for name, (q, role) in curves.items():
        axes.plot(grid[0], q.log_prob(grid).exp()[0], **plots.ROLES[role], label=name)
    axes.set(xlabel="$x_{t-1}$", ylabel="density", ylim=(0, None))
    axes.legend(loc="upper left")
    return save(
        figure,
        __file__,
        folder,
        title="Three curves of Bayes",
        alt="Three bell curves over x at t − 1. Black, left: the prior. Blue, right: the "
        "likelihood. Green between them, narrower and higher than both: the posterior",
    )


if __name__ == "__main__":
    build()
