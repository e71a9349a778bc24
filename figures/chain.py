"""The graph of q and p: noise is added one way, and taken out the other."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from diffusion_lesson.learning import data
from diffusion_lesson.page import plots
from diffusion_lesson.process import schedule
from diffusion_lesson.process.forward import q_marginal
from figures.style import save

TIMES = (0, 100, 250, 500, 1000)


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    digits = data.digits("train")
    x0 = data.to_signed(digits.images[4:5], digits.levels).double()
    post = schedule.linear(1000, 0.00085, 0.012)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    figure, axes = plt.subplots(figsize=(8.4, 2.4))
    for k, t in enumerate(TIMES):
        x = q_marginal(post, t, x0).sample(eps=eps) if t else x0
        place = (2 * k - 0.6, 2 * k + 0.6, -0.6, 0.6)
        grey = plots.pixels(x, clip=True)[0]
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=place, aspect="auto")
        axes.text(2 * k, -0.75, f"$x_{{{t}}}$", ha="center", va="top", fontsize=12)
        if k:
            noise, model = plots.ROLES["noise"]["color"], plots.ROLES["model"]["color"]
            arrow = {"arrowstyle": "-|>", "linewidth": 2}
            axes.annotate("", (2 * k - 0.65, 0.25), (2 * k - 1.35, 0.25), arrowprops=arrow | {"color": noise})
            axes.annotate("", (2 * k - 1.35, -0.25), (2 * k - 0.65, -0.25), arrowprops=arrow | {"color": model})
    axes.text(4, 0.75, "$q$ adds noise: nothing to learn  →", ha="center", fontsize=10)
    axes.text(4, -1.4, r"←  $p_\theta$ takes it out: learned", ha="center", fontsize=10)
    axes.set(xlim=(-0.7, 8.7), ylim=(-1.5, 1.0))
    axes.axis("off")
    return save(
        figure,
        __file__,
        folder,
        title="Forward and backward",
        alt="A handwritten digit at steps 0, 100, 250, 500 and 1000: ever noisier, at the end all noise. Blue "
        "arrows lead from each picture to the next, marked q adds noise. Orange arrows lead "
        "back, marked p takes it out",
    )


if __name__ == "__main__":
    build()
