"""The lessons, and which rests on which."""

from pathlib import Path

import matplotlib.pyplot as plt
from house import save

LESSONS = {  # number: (name, column, row)
    "01": ("Convolution", 0, 1),
    "02": ("GANs", 1, 1),
    "03": ("Forward process", 0, 0),
    "04": ("One jump", 1, 0),
    "05": ("Bayes posterior", 2, 0),
    "06": ("Two epsilons", 3, 1),
    "07": ("The ELBO", 3, 0),
    "08": ("Three terms", 4, 0),
    "09": ("The ε-loss", 5, 0),
    "10": ("Train a U-Net", 5, 1),
}
RESTS_ON = [
    ("01", "02"), ("03", "04"), ("04", "05"), ("05", "06"), ("05", "07"), ("07", "08"), ("08", "09"), ("09", "10"),
]  # fmt: skip


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    figure, axes = plt.subplots(figsize=(8.4, 2.3))
    for number, (name, column, row) in LESSONS.items():
        colour = "#E69F00" if number == "10" else "#444444"
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6}
        axes.text(column, -row, f"{number}\n{name}", ha="center", va="center", fontsize=9, bbox=box)
    for before, after in RESTS_ON:
        (_, x0, y0), (_, x1, y1) = LESSONS[before], LESSONS[after]
        start, end = (x0 + 0.44, -y0), (x1 - 0.44, -y1)
        if x0 == x1:
            start, end = (x0, -y0 - 0.3), (x1, -y1 + 0.3)
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#888888", "linewidth": 1.4})
    axes.set(xlim=(-0.55, 5.55), ylim=(-1.45, 0.45))
    axes.axis("off")
    return save(
        figure,
        __file__,
        folder,
        title="The lessons",
        alt="Ten boxes in two rows joined by arrows. Above: 03 Forward process, 04 One jump, 05 Bayes posterior, "
        "07 The ELBO, 08 Three terms, 09 The ε-loss. Below: 01 Convolution and 02 GANs; 06 Two epsilons, reached "
        "from 05; and 10 Train a U-Net, reached from 09",
    )


if __name__ == "__main__":
    build()
